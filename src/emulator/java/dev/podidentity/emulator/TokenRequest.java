package dev.podidentity.emulator;

import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.UUID;

/**
 * What a token is to say. Nothing stops a test from asking for one that makes no sense, such as one that expires before
 * it is issued.
 */
public record TokenRequest(
        String issuer,
        String namespace,
        String serviceAccount,
        String serviceAccountUid,
        String pod,
        String podUid,
        String node,
        List<String> audience,
        Instant issuedAt,
        Instant notBefore,
        Instant expiresAt,
        Algorithm algorithm) {

    /** What the webhook of EKS asks for: 86,400 s. */
    private static final Duration LIFETIME = Duration.ofDays(1);

    /** With what API servers sign. */
    public enum Algorithm {
        RS256,
        ES256
    }

    public TokenRequest {
        audience = List.copyOf(audience);
    }

    /** A token as a new pod gets it now. */
    static TokenRequest of(
            String issuer, String audience, String namespace, String serviceAccount, String serviceAccountUid, String pod) {
        Instant now = Instant.now();
        return new TokenRequest(
                issuer,
                namespace,
                serviceAccount,
                serviceAccountUid,
                pod,
                UUID.randomUUID().toString(),
                "ip-10-0-0-1.us-west-2.compute.internal",
                List.of(audience),
                now,
                now,
                now.plus(LIFETIME),
                Algorithm.RS256);
    }

    public TokenRequest withIssuer(String value) {
        return new TokenRequest(value, namespace, serviceAccount, serviceAccountUid, pod, podUid, node, audience, issuedAt,
                notBefore, expiresAt, algorithm);
    }

    public TokenRequest withServiceAccountUid(String value) {
        return new TokenRequest(issuer, namespace, serviceAccount, value, pod, podUid, node, audience, issuedAt, notBefore,
                expiresAt, algorithm);
    }

    public TokenRequest withPodUid(String value) {
        return new TokenRequest(issuer, namespace, serviceAccount, serviceAccountUid, pod, value, node, audience, issuedAt,
                notBefore, expiresAt, algorithm);
    }

    public TokenRequest withNode(String value) {
        return new TokenRequest(issuer, namespace, serviceAccount, serviceAccountUid, pod, podUid, value, audience, issuedAt,
                notBefore, expiresAt, algorithm);
    }

    public TokenRequest withAudience(String... value) {
        return new TokenRequest(issuer, namespace, serviceAccount, serviceAccountUid, pod, podUid, node, List.of(value),
                issuedAt, notBefore, expiresAt, algorithm);
    }

    /** Issued then, valid from then on, and for as long as before. */
    public TokenRequest withIssuedAt(Instant value) {
        Instant end = value.plus(Duration.between(issuedAt, expiresAt));
        return new TokenRequest(issuer, namespace, serviceAccount, serviceAccountUid, pod, podUid, node, audience, value,
                value, end, algorithm);
    }

    public TokenRequest withNotBefore(Instant value) {
        return new TokenRequest(issuer, namespace, serviceAccount, serviceAccountUid, pod, podUid, node, audience, issuedAt,
                value, expiresAt, algorithm);
    }

    public TokenRequest withExpiresAt(Instant value) {
        return new TokenRequest(issuer, namespace, serviceAccount, serviceAccountUid, pod, podUid, node, audience, issuedAt,
                notBefore, value, algorithm);
    }

    /** Expires this long after it is issued. */
    public TokenRequest withLifetime(Duration value) {
        return withExpiresAt(issuedAt.plus(value));
    }

    public TokenRequest withAlgorithm(Algorithm value) {
        return new TokenRequest(issuer, namespace, serviceAccount, serviceAccountUid, pod, podUid, node, audience, issuedAt,
                notBefore, expiresAt, value);
    }
}
