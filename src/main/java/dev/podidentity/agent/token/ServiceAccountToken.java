package dev.podidentity.agent.token;

import dev.podidentity.agent.token.TokenReader.Reading;
import java.time.Instant;
import java.util.Optional;

/**
 * A projected service-account token as a pod presented it. Its signature has <em>not</em> been verified: the claims
 * may be used to reject it and, once EKS Auth has accepted the token, to say in a log whose it was. They decide
 * nothing else.
 *
 * @param raw the compact JWT, a secret
 * @param fingerprint the SHA-256 of {@code raw}
 * @param issuedAt the {@code iat} claim, if there is one
 * @param expiresAt the {@code exp} claim
 * @param claims who the token says it is for
 */
public record ServiceAccountToken(
        String raw, TokenFingerprint fingerprint, Optional<Instant> issuedAt, Instant expiresAt, WorkloadClaims claims)
        implements Reading {

    @Override
    public String toString() {
        return "ServiceAccountToken[" + fingerprint + ", " + claims + ", expires " + expiresAt + "]";
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
