package dev.podidentity.agent.token;

import dev.podidentity.agent.token.TokenReader.Reading;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Arrays;
import java.util.Objects;
import java.util.Optional;

/**
 * A projected service-account token as a pod presented it. Its signature has <em>not</em> been verified: the claims
 * may be used to reject it and, once EKS Auth has accepted the token, to say in a log whose it was. They decide
 * nothing else. Immutable.
 */
public final class ServiceAccountToken implements Reading {

    /** Bytes, so that a request's header can be compared with it without decoding either. */
    private final byte[] characters;
    private final TokenFingerprint fingerprint;
    private final Validity validity;
    private final WorkloadClaims claims;

    /**
     * @param raw the compact JWT, a secret
     * @param fingerprint the SHA-256 of {@code raw}
     * @param validity the times that it claims
     * @param claims who the token says it is for
     */
    public ServiceAccountToken(String raw, TokenFingerprint fingerprint, Validity validity, WorkloadClaims claims) {
        this.characters = raw.getBytes(StandardCharsets.UTF_8);
        this.fingerprint = Objects.requireNonNull(fingerprint, "fingerprint");
        this.validity = Objects.requireNonNull(validity, "validity");
        this.claims = Objects.requireNonNull(claims, "claims");
    }

    /** The compact JWT, a secret. A new string at each call, for the rare callers that send or verify the token. */
    public String raw() {
        return new String(characters, StandardCharsets.UTF_8);
    }

    /** How many characters the token has. */
    public int length() {
        return characters.length;
    }

    /** The SHA-256 of the token. */
    public TokenFingerprint fingerprint() {
        return fingerprint;
    }

    /** The times that the token claims. */
    public Validity validity() {
        return validity;
    }

    /** The {@code iat} claim, if there is one. */
    public Optional<Instant> issuedAt() {
        return validity.issuedAt();
    }

    /** The {@code exp} claim. */
    public Instant expiresAt() {
        return validity.expiresAt();
    }

    /** Who the token says it is for. */
    public WorkloadClaims claims() {
        return claims;
    }

    /** Whether some of these bytes are this very token. */
    public boolean matches(byte[] bytes, int from, int to) {
        return Arrays.equals(characters, 0, characters.length, bytes, from, to);
    }

    /** The hash of the token's characters, as {@link TokenHash} makes it of others. */
    public int hash(TokenHash hash) {
        return hash.of(characters, 0, characters.length);
    }

    /** Where in some bytes this token begins if it is there exactly once, else -1. */
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
     * The workload that a token names, not verified. Anything may stand here but control characters, which the reader
     * replaces, so that a value can be logged; {@code ""} stands for a claim that is absent.
     *
     * @param namespace the pod's namespace
     * @param serviceAccount the service account's name
     * @param pod the pod's name
     * @param podUid the pod's UID
     * @param node the name of the node that the pod runs on
     */
    public record WorkloadClaims(String namespace, String serviceAccount, String pod, String podUid, String node) {}
}
