package dev.podidentity.emulator;

import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.UUID;

/** The content of a token. Tests may request inconsistent tokens, such as one that expires before it is issued. */
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

    /** The lifetime that the webhook of EKS requests: 86,400 s. */
    private static final Duration LIFETIME = Duration.ofDays(1);

    /** The signing algorithms of API servers. */
    public enum Algorithm {
        RS256,
        ES256
    }

    public TokenRequest {
        audience = List.copyOf(audience);
    }

    /** Returns the request for a token like that of a new pod. */
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

    /** Changes the time of issue and the start of validity, and keeps the lifetime. */
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

    /** Sets the expiration relative to the time of issue. */
    public TokenRequest withLifetime(Duration value) {
        return withExpiresAt(issuedAt.plus(value));
    }

    public TokenRequest withAlgorithm(Algorithm value) {
        return new TokenRequest(issuer, namespace, serviceAccount, serviceAccountUid, pod, podUid, node, audience, issuedAt,
                notBefore, expiresAt, value);
    }
}
