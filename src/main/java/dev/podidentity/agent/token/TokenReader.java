package dev.podidentity.agent.token;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.StreamReadFeature;
import io.vertx.core.json.DecodeException;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import io.vertx.core.json.jackson.JacksonCodec;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Instant;
import java.util.Base64;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * Reads the token of a request and turns away what EKS Auth could only refuse: nothing here grants anything.
 *
 * <p>Holds no state but its configuration and may be used by any thread. Work and memory are bounded by the length of
 * the header, which the listener bounds, and by the JSON parser's own limit on nesting.
 */
public final class TokenReader {

    /** Duplicate claims are refused: two readers could see two different tokens in one. */
    private static final JsonFactory JSON =
            JsonFactory.builder().enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION).build();

    private static final String BEARER = "bearer ";
    private static final Pattern CONTROL = Pattern.compile("[\\p{Cc}\\u2028\\u2029]");
    /** Kubernetes names have at most 253 characters. */
    private static final int LONGEST_NAME = 253;
    /** The last instant that ISO 8601 can write with a year of four digits; a JWT beyond it is nonsense. */
    private static final Instant LATEST = Instant.parse("9999-12-31T23:59:59Z");

    private final String audience;
    private final Clock clock;

    public TokenReader(String audience, Clock clock) {
        this.audience = Objects.requireNonNull(audience, "audience");
        this.clock = Objects.requireNonNull(clock, "clock");
    }

    /**
     * Reads the values of a request's {@code Authorization} headers.
     *
     * @param authorization every value of the header, in the order received
     * @return the token, or why it is rejected
     */
    public TokenReading read(List<String> authorization) {
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
            return e.rejected;
        }
    }

    private static String withoutScheme(String value) {
        if (value.regionMatches(true, 0, BEARER, 0, BEARER.length())) {
            return value.substring(BEARER.length()).strip();
        }
        return value.equalsIgnoreCase(BEARER.strip()) ? "" : value;
    }

    private ServiceAccountToken readCompact(String raw) throws Rejection {
        String[] parts = raw.split("\\.", -1);
        if (parts.length != 3) {
            throw invalid("The token is not a JWT: it has " + parts.length + " parts instead of 3");
        }
        JsonObject header = object("header", parts[0]);
        JsonObject claims = object("claims", parts[1]);
        if (decode("signature", parts[2]).length == 0) {
            throw invalid("The token has no signature");
        }
        checkAlgorithm(header);
        checkAudience(claims);
        Instant now = clock.instant();
        Instant notBefore = instant(claims, "nbf");
        Instant expiresAt = instant(claims, "exp");
        if (expiresAt == null) {
            throw invalid("The token has no exp claim: a projected service-account token always has one");
        }
        Optional<Instant> issuedAt = Optional.ofNullable(instant(claims, "iat"));
        WorkloadClaims workload = workload(claims);
        if (!expiresAt.isAfter(now)) {
            throw new Rejection(RejectedToken.expired("The token expired at " + seconds(expiresAt)
                    + ": the SDK has not re-read the token file since; update the SDK, or restart the pod"));
        }
        if (notBefore != null && notBefore.isAfter(now)) {
            throw invalid("The token is not valid before " + seconds(notBefore) + ": check the clock of this node");
        }
        return new ServiceAccountToken(raw, TokenFingerprint.of(raw), issuedAt, expiresAt, workload);
    }

    private static void checkAlgorithm(JsonObject header) throws Rejection {
        String algorithm = string(header, "header", "alg");
        if (algorithm == null) {
            throw invalid("The token's header has no alg");
        }
        String upper = algorithm.toUpperCase(Locale.ROOT);
        if (upper.equals("NONE") || upper.startsWith("HS")) {
            throw invalid("The token's alg is " + (upper.equals("NONE") ? "none" : "an HMAC")
                    + ": Kubernetes signs tokens with RS256 or ES256");
        }
        string(header, "header", "kid");
    }

    private void checkAudience(JsonObject claims) throws Rejection {
        Object aud = claims.getValue("aud");
        boolean named;
        if (aud instanceof String one) {
            named = one.equals(audience);
        } else if (aud instanceof JsonArray many) {
            if (!many.stream().allMatch(String.class::isInstance)) {
                throw wrongType("aud", "a string or an array of strings");
            }
            named = many.contains(audience);
        } else if (aud == null && !claims.containsKey("aud")) {
            named = false;
        } else {
            throw wrongType("aud", "a string or an array of strings");
        }
        if (!named) {
            throw invalid("The token is not for the audience " + audience
                    + ": use the token file that EKS Pod Identity mounts into the pod");
        }
    }

    private static WorkloadClaims workload(JsonObject claims) throws Rejection {
        string(claims, "claims", "iss");
        string(claims, "claims", "sub");
        string(claims, "claims", "jti");
        JsonObject kubernetes = object(claims, "kubernetes.io");
        String namespace = name(kubernetes, "namespace");
        JsonObject serviceAccount = object(kubernetes, "serviceaccount");
        JsonObject pod = object(kubernetes, "pod");
        JsonObject node = object(kubernetes, "node");
        name(serviceAccount, "uid");
        name(node, "name");
        name(node, "uid");
        return new WorkloadClaims(namespace, name(serviceAccount, "name"), name(pod, "name"), name(pod, "uid"));
    }

    /** An object inside the claims; an absent one is empty. */
    private static JsonObject object(JsonObject parent, String key) throws Rejection {
        Object value = parent.getValue(key);
        if (value instanceof JsonObject object) {
            return object;
        }
        if (parent.containsKey(key)) {
            throw wrongType(key, "an object");
        }
        return new JsonObject();
    }

    private static String name(JsonObject parent, String key) throws Rejection {
        String value = string(parent, "claims", key);
        if (value == null) {
            return "";
        }
        String printable = CONTROL.matcher(value).replaceAll("?");
        return printable.length() > LONGEST_NAME ? printable.substring(0, LONGEST_NAME) : printable;
    }

    private static String string(JsonObject parent, String part, String key) throws Rejection {
        Object value = parent.getValue(key);
        if (value instanceof String string) {
            return string;
        }
        if (parent.containsKey(key)) {
            throw invalid("In the token's " + part + ", " + key + " is not a string");
        }
        return null;
    }

    private static Instant instant(JsonObject claims, String key) throws Rejection {
        Object value = claims.getValue(key);
        if (value == null && !claims.containsKey(key)) {
            return null;
        }
        if (!(value instanceof Number number)) {
            throw wrongType(key, "a number");
        }
        double epochSeconds = number.doubleValue();
        if (Double.isNaN(epochSeconds) || epochSeconds < 0 || epochSeconds > LATEST.getEpochSecond()) {
            throw invalid("In the token's claims, " + key + " is no time: it must be seconds since 1970");
        }
        return Instant.ofEpochMilli((long) Math.floor(epochSeconds * 1000));
    }

    private static String seconds(Instant instant) {
        return Instant.ofEpochSecond(instant.getEpochSecond()).toString();
    }

    private static JsonObject object(String part, String base64) throws Rejection {
        String json = new String(decode(part, base64), StandardCharsets.UTF_8);
        Object value;
        try (JsonParser parser = JSON.createParser(json)) {
            value = JacksonCodec.fromParser(parser, Object.class);
        } catch (DecodeException | IOException e) {
            throw invalid("The token's " + part + " is not JSON");
        }
        if (value instanceof JsonObject object) {
            return object;
        }
        throw invalid("The token's " + part + " is not a JSON object");
    }

    private static byte[] decode(String part, String base64) throws Rejection {
        if (base64.endsWith("=")) {
            throw invalid("The token's " + part + " is not base64url: it has padding");
        }
        try {
            return Base64.getUrlDecoder().decode(base64);
        } catch (IllegalArgumentException e) {
            throw invalid("The token's " + part + " is not base64url");
        }
    }

    private static Rejection wrongType(String claim, String expected) {
        return invalid("In the token's claims, " + claim + " is not " + expected);
    }

    private static Rejection invalid(String message) {
        return new Rejection(RejectedToken.invalid(message));
    }

    /** Leaves the reading of a token early; has no stack trace, as a bad token is nothing unusual. */
    private static final class Rejection extends Exception {

        private final RejectedToken rejected;

        Rejection(RejectedToken rejected) {
            super(rejected.message(), null, false, false);
            this.rejected = rejected;
        }
    }
}
