package dev.podidentity.agent.token;

import dev.podidentity.agent.token.TokenReader.Reading;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Arrays;
import java.util.Objects;
import java.util.Optional;

/**
 * A projected service-account token as a pod presented it. Its signature has <em>not</em> been verified. The claims may be
 * used to reject it and, once EKS Auth has accepted the token, to log whose it was, and for nothing else. Immutable.
 */
public final class ServiceAccountToken implements Reading {

    /** Bytes, so that a request's header can be compared without decoding either. */
    private final byte[] characters;
    private final TokenFingerprint fingerprint;
    private final Validity validity;
    private final WorkloadClaims claims;

    /**
     * @param raw the compact JWT, a secret
     * @param fingerprint the SHA-256 of {@code raw}
     * @param validity the times that it claims
     * @param claims the workload that it names
     */
    public ServiceAccountToken(String raw, TokenFingerprint fingerprint, Validity validity, WorkloadClaims claims) {
        this.characters = raw.getBytes(StandardCharsets.UTF_8);
        this.fingerprint = Objects.requireNonNull(fingerprint, "fingerprint");
        this.validity = Objects.requireNonNull(validity, "validity");
        this.claims = Objects.requireNonNull(claims, "claims");
    }

    /**
     * Returns the compact JWT, a secret. Creates a new string on each call, for the few callers that send or verify the
     * token.
     */
    public String raw() {
        return new String(characters, StandardCharsets.UTF_8);
    }

    /** Returns the number of the token's characters. */
    public int length() {
        return characters.length;
    }

    /** Returns the SHA-256 of the token. */
    public TokenFingerprint fingerprint() {
        return fingerprint;
    }

    /** Returns the times that the token claims. */
    public Validity validity() {
        return validity;
    }

    /** Returns the {@code iat} claim, if present. */
    public Optional<Instant> issuedAt() {
        return validity.issuedAt();
    }

    /** Returns the {@code exp} claim. */
    public Instant expiresAt() {
        return validity.expiresAt();
    }

    /** Returns the workload that the token names. */
    public WorkloadClaims claims() {
        return claims;
    }

    /** Returns whether some of these bytes are exactly this token. */
    public boolean matches(byte[] bytes, int from, int to) {
        return Arrays.equals(characters, 0, characters.length, bytes, from, to);
    }

    /** Returns the hash of the token's characters, as computed by {@link TokenHash}. */
    public int hash(TokenHash hash) {
        return hash.of(characters, 0, characters.length);
    }

    /** Returns the index of this token in some bytes if it occurs there exactly once, otherwise -1. */
    public int onlyPlaceIn(byte[] bytes, int length) {
        int place = -1;
        for (int from = 0; from <= length - characters.length; from++) {
            if (bytes[from] == characters[0] && matches(bytes, from, from + characters.length)) {
                if (place >= 0) {
                    return -1;
                }
                place = from;
            }
        }
        return place;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof ServiceAccountToken that
                && fingerprint.equals(that.fingerprint)
                && Arrays.equals(characters, that.characters)
                && validity.equals(that.validity)
                && claims.equals(that.claims);
    }

    @Override
    public int hashCode() {
        return fingerprint.hashCode();
    }

    @Override
    public String toString() {
        return "ServiceAccountToken[" + fingerprint + ", " + claims + ", expires " + expiresAt() + "]";
    }

    /**
     * The workload that a token names, not verified. The reader replaces control characters so that values can be logged;
     * all other characters are possible. An absent claim is {@code ""}.
     *
     * @param namespace the pod's namespace
     * @param serviceAccount the service account's name
     * @param pod the pod's name
     * @param podUid the pod's UID
     * @param node the name of the node on which the pod runs
     */
    public record WorkloadClaims(String namespace, String serviceAccount, String pod, String podUid, String node) {}
}
