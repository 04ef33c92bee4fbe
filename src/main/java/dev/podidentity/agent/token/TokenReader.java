package dev.podidentity.agent.token;

import dev.podidentity.agent.token.RejectedToken.Rejection;
import dev.podidentity.agent.token.ServiceAccountToken.WorkloadClaims;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * Parses the token of a request, and rejects tokens that EKS Auth could only refuse. Nothing here grants anything.
 *
 * <p>Has no state except its configuration, and may be used by any thread. Work and memory are limited by the length of the
 * header, which the listener limits, and by the JSON parser's limit on nesting.
 */
public final class TokenReader {

    private static final String BEARER = "bearer ";
    private static final Pattern CONTROL = Pattern.compile("[\\p{Cc}\\u2028\\u2029]");
    /** Kubernetes names have at most 253 characters. */
    private static final int LONGEST_NAME = 253;

    private final String audience;
    private final Duration leeway;
    private final Clock clock;

    /** Creates a reader without leeway for times. */
    public TokenReader(String audience, Clock clock) {
        this(audience, Duration.ZERO, clock);
    }

    /** @param leeway how far this node's clock may be behind the API server's */
    public TokenReader(String audience, Duration leeway, Clock clock) {
        this.audience = Objects.requireNonNull(audience, "audience");
        this.leeway = Objects.requireNonNull(leeway, "leeway");
        this.clock = Objects.requireNonNull(clock, "clock");
    }

    /**
     * Parses the values of a request's {@code Authorization} headers.
     *
     * @param authorization every value of the header, in the order received
     * @return the token, or why it is rejected
     */
    public Reading read(List<String> authorization) {
        if (authorization.isEmpty()) {
            return RejectedToken.invalid("The Authorization header is missing: send the content of the file named by "
                    + "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE in it");
        }
        if (authorization.size() > 1) {
            return RejectedToken.invalid("The Authorization header is repeated: send one token, once");
        }
        String raw = withoutScheme(authorization.get(0).strip());
        if (raw.isEmpty()) {
            return RejectedToken.invalid("The Authorization header is empty: send the content of the file named by "
                    + "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE in it");
        }
        try {
            return readCompact(raw);
        } catch (Rejection e) {
            return e.rejected();
        }
    }

    /**
     * Returns the issuer that a token names. For the agent's own token, which the API server issued, this is the cluster's
     * issuer.
     *
     * @param token a compact JWT, a secret; surrounding white space is ignored
     * @return the {@code iss} claim; empty if there is none or this is not a JWT
     */
    public static Optional<String> issuerOf(String token) {
        try {
            return new Claims(CompactJwt.parse(token.strip()).claims()).text("iss").filter(issuer -> !issuer.isEmpty());
        } catch (Rejection e) {
            return Optional.empty();
        }
    }

    private static String withoutScheme(String value) {
        if (value.regionMatches(true, 0, BEARER, 0, BEARER.length())) {
            return value.substring(BEARER.length()).strip();
        }
        return value.equalsIgnoreCase(BEARER.strip()) ? "" : value;
    }

    private ServiceAccountToken readCompact(String raw) throws Rejection {
        CompactJwt jwt = CompactJwt.parse(raw);
        checkHeader(jwt);
        Claims claims = new Claims(jwt.claims());
        WorkloadClaims workload = workload(claims);
        try {
            claims.requireAudience(audience);
            Validity validity = claims.validity();
            validity.requireCurrent(clock.instant(), leeway);
            return new ServiceAccountToken(raw, TokenFingerprint.of(raw), validity, workload);
        } catch (Rejection e) {
            throw e.naming(workload);
        }
    }

    private static void checkHeader(CompactJwt jwt) throws Rejection {
        String upper = jwt.algorithm()
                .orElseThrow(() -> Rejection.invalid("The token's header has no alg"))
                .toUpperCase(Locale.ROOT);
        if (upper.equals("NONE") || upper.startsWith("HS")) {
            throw Rejection.invalid("The token's alg is " + (upper.equals("NONE") ? "none" : "an HMAC")
                    + ": Kubernetes signs tokens with RS256 or ES256");
        }
        jwt.keyId();
    }

    private static WorkloadClaims workload(Claims claims) throws Rejection {
        claims.text("iss");
        claims.text("sub");
        claims.text("jti");
        Claims kubernetes = claims.object("kubernetes.io");
        String namespace = name(kubernetes, "namespace");
        Claims serviceAccount = kubernetes.object("serviceaccount");
        Claims pod = kubernetes.object("pod");
        Claims node = kubernetes.object("node");
        serviceAccount.text("uid");
        node.text("uid");
        return new WorkloadClaims(namespace, name(serviceAccount, "name"), name(pod, "name"), name(pod, "uid"),
                name(node, "name"));
    }

    /** Returns a name that can be logged; an absent one is empty. */
    private static String name(Claims parent, String claim) throws Rejection {
        String printable = CONTROL.matcher(parent.text(claim).orElse("")).replaceAll("?");
        return printable.length() > LONGEST_NAME ? printable.substring(0, LONGEST_NAME) : printable;
    }

    /** The result of parsing an {@code Authorization} header: a token that may be used, or the reason why not. */
    public sealed interface Reading permits ServiceAccountToken, RejectedToken {}
}
