package dev.podidentity.agent.token;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import dev.podidentity.agent.testing.Tokens;
import dev.podidentity.agent.token.ServiceAccountToken.WorkloadClaims;
import dev.podidentity.agent.token.TokenReader.Reading;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.List;
import java.util.function.BiConsumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class TokenReaderTest {

    private static final Instant NOW = Instant.parse("2026-03-01T12:00:00Z");
    private static final String VALID = Tokens.valid(NOW, "cart-7d9f");
    /** Placeholder in claims for text that is replaced by a JSON value other than a string. */
    private static final String PLACE = "\"@\"";

    private final TokenReader reader = reader(Tokens.AUDIENCE);

    @Test
    void readsAProjectedToken() {
        ServiceAccountToken token = accepted(VALID);

        assertThat(token.raw()).isEqualTo(VALID);
        assertThat(token.expiresAt()).isEqualTo(NOW.plusSeconds(86_400));
        assertThat(token.claims()).isEqualTo(new WorkloadClaims("shop", "cart", "cart-7d9f", "pod-uid", "node-1"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"%s\n", " %s", "\t %s \r\n", "Bearer %s", "bearer %s", "BEARER %s", "  Bearer   %s\n"})
    void readsATokenWithWhiteSpaceOrASchemeAroundIt(String form) {
        assertThat(accepted(form.formatted(VALID)).raw()).isEqualTo(VALID);
    }

    @Test
    void rejectsAMissingHeader() {
        assertRejected(reader.read(List.of()), RejectedToken.Kind.INVALID, "missing");
    }

    @ParameterizedTest
    @ValueSource(strings = {"", " ", "\t\r\n", "Bearer", "bearer ", " Bearer \n"})
    void rejectsAnEmptyHeader(String value) {
        assertInvalid(value, "empty");
    }

    @Test
    void rejectsARepeatedHeaderEvenIfBothAreTheSame() {
        assertRejected(reader.read(List.of(VALID, VALID)), RejectedToken.Kind.INVALID, "repeated");
    }

    @ParameterizedTest
    @CsvSource({"a,1", "a.b,2", "a.b.c.d,4", "..,3", "....,5"})
    void rejectsWhatHasNotThreeParts(String value, int parts) {
        assertInvalid(value, parts == 3 ? "header is not JSON" : parts + " parts instead of 3");
    }

    static Stream<Arguments> malformed() {
        String[] parts = VALID.split("\\.");
        String body = parts[1] + '.' + parts[2];
        return Stream.of(
                arguments("no signature", parts[0] + '.' + parts[1] + '.', "no signature"),
                arguments("no header", '.' + body, "header is not JSON"),
                arguments("no claims", parts[0] + ".." + parts[2], "claims is not JSON"),
                arguments("a padded header", parts[0] + "=." + body, "header is not base64url: it has padding"),
                arguments("padded claims", parts[0] + '.' + parts[1] + "==." + parts[2], "claims is not base64url: it has"),
                arguments("a padded signature", VALID + "=", "signature is not base64url: it has padding"),
                arguments("plain base64", parts[0] + '.' + parts[1] + ".a+b/", "signature is not base64url"),
                arguments("one character over", parts[0] + '.' + parts[1] + ".abcde", "signature is not base64url"),
                arguments("a space inside", parts[0] + ' ' + '.' + body, "header is not base64url"),
                arguments("a letter beyond ASCII", parts[0] + "\u00e9." + body, "header is not base64url"),
                arguments("a letter beyond Latin", parts[0] + "\u4e2d." + body, "header is not base64url"),
                arguments("another scheme", "Basic " + VALID, "header is not base64url"),
                arguments("two tokens", VALID + ", " + VALID, "5 parts instead of 3"));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("malformed")
    void rejectsWhatIsNoCompactJwt(String name, String value, String message) {
        assertInvalid(value, message);
    }

    static Stream<Arguments> notJsonObjects() {
        String deep = "{\"a\":" + "[".repeat(2000) + "]".repeat(2000) + "}";
        return Stream.of(
                arguments("nothing", "", "is not JSON"),
                arguments("text", "hello", "is not JSON"),
                arguments("half an object", "{\"alg\":\"RS256\"", "is not JSON"),
                arguments("single quotes", "{'alg':'RS256'}", "is not JSON"),
                arguments("a comment", "{/**/}", "is not JSON"),
                arguments("NaN", "{\"a\":NaN}", "is not JSON"),
                arguments("trailing data", "{} {}", "is not JSON"),
                arguments("a trailing bracket", "{}}", "is not JSON"),
                arguments("a duplicate key", "{\"a\":1,\"a\":2}", "is not JSON"),
                arguments("a duplicate key in other letters", "{\"a\":1,\"\\u0061\":2}", "is not JSON"),
                arguments("a duplicate key further in", "{\"b\":{\"a\":1,\"a\":2}}", "is not JSON"),
                arguments("deep nesting", deep, "is not JSON"),
                arguments("a number of 2,000 digits", "{\"a\":" + "9".repeat(2000) + "}", "is not JSON"),
                arguments("a control character in a string", "{\"a\":\"\n\"}", "is not JSON"),
                arguments("a byte order mark", "\ufeff{}", "is not JSON"),
                arguments("an array", "[]", "is not a JSON object"),
                arguments("a string", "\"alg\"", "is not a JSON object"),
                arguments("a number", "1", "is not a JSON object"),
                arguments("true", "true", "is not a JSON object"),
                arguments("null", "null", "is not a JSON object"));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("notJsonObjects")
    void rejectsAHeaderThatIsNoJsonObject(String name, String json, String message) {
        assertInvalid(Tokens.jwt(json, Tokens.claims(NOW, "p").encode()), "header " + message);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("notJsonObjects")
    void rejectsClaimsThatAreNoJsonObject(String name, String json, String message) {
        assertInvalid(Tokens.jwt(Tokens.header().encode(), json), "claims " + message);
    }

    @Test
    void rejectsClaimsInUtf16SinceOtherReadersWouldSeeSomethingElse() {
        String header = Tokens.base64(Tokens.header().encode());
        byte[] claims = Tokens.claims(NOW, "p").encode().getBytes(StandardCharsets.UTF_16);

        assertInvalid(header + '.' + Tokens.base64(claims) + ".c2ln", "claims is not JSON");
    }

    @Test
    void takesAnOverlongQuoteForNoQuote() {
        // Given: a lenient decoder would read C0 A2 as a quotation mark, and end the string
        byte[] claims = Tokens.claims(NOW, "@@").encode().getBytes(StandardCharsets.ISO_8859_1);
        int at = new String(claims, StandardCharsets.ISO_8859_1).indexOf("@@");
        claims[at] = (byte) 0xC0;
        claims[at + 1] = (byte) 0xA2;

        // When
        Reading reading = reader.read(
                List.of(Tokens.base64(Tokens.header().encode()) + '.' + Tokens.base64(claims) + ".c2ln"));

        // Then
        assertThat(reading).isInstanceOfSatisfying(
                ServiceAccountToken.class, token -> assertThat(token.claims().pod()).doesNotContain("\""));
    }

    @Test
    void readsNamesInAnyScript() {
        assertThat(accepted(withPod("\u5e97-\ud83d\udc4d")).claims().pod()).isEqualTo("\u5e97-\ud83d\udc4d");
    }

    @ParameterizedTest
    @CsvSource({
        "{},header has no alg",
        "{\"alg\":\"none\"},alg is none",
        "{\"alg\":\"NONE\"},alg is none",
        "{\"alg\":\"nOnE\"},alg is none",
        "{\"alg\":\"HS256\"},alg is an HMAC",
        "{\"alg\":\"hs512\"},alg is an HMAC",
        "{\"alg\":null},alg is not a string",
        "{\"alg\":256},alg is not a string",
        "{\"alg\":[\"RS256\"]},alg is not a string"
    })
    void rejectsAnAlgorithmThatKubernetesDoesNotSignWith(String header, String message) {
        assertInvalid(Tokens.jwt(header, Tokens.claims(NOW, "p").encode()), message);
    }

    @ParameterizedTest
    @ValueSource(strings = {"RS256", "ES256", "RS512", "PS256"})
    void readsATokenOfAnyAsymmetricAlgorithm(String algorithm) {
        String header = new JsonObject().put("alg", algorithm).encode();

        assertThat(accepted(Tokens.jwt(header, Tokens.claims(NOW, "p").encode()))).isNotNull();
    }

    @Test
    void rejectsAKeyIdThatIsNoString() {
        assertInvalid(Tokens.jwt("{\"alg\":\"RS256\",\"kid\":7}", Tokens.claims(NOW, "p").encode()), "kid is not a string");
    }

    static Stream<Arguments> typedClaims() {
        return Stream.of(
                arguments("iss", "is not a string", List.of("7", "true", "{}", "[]", "null")),
                arguments("sub", "is not a string", List.of("7", "true", "{}", "[]", "null")),
                arguments("jti", "is not a string", List.of("7", "true", "{}", "[]", "null")),
                arguments("exp", "is not a number", List.of("\"1\"", "\"\"", "true", "{}", "[]", "null")),
                arguments("nbf", "is not a number", List.of("\"1\"", "true", "{}", "[]", "null")),
                arguments("iat", "is not a number", List.of("\"1\"", "true", "{}", "[]", "null")),
                arguments("aud", "is not a string or an array of strings",
                        List.of("7", "true", "{}", "null", "[7]", "[null]", "[[]]",
                                "[\"" + Tokens.AUDIENCE + "\",7]", "{\"a\":\"" + Tokens.AUDIENCE + "\"}")),
                arguments("kubernetes.io", "is not an object", List.of("7", "true", "\"a\"", "[]", "null")),
                arguments("kubernetes.io/namespace", "is not a string", List.of("7", "true", "{}", "[]", "null")),
                arguments("kubernetes.io/serviceaccount", "is not an object", List.of("7", "\"a\"", "[]", "null")),
                arguments("kubernetes.io/serviceaccount/name", "is not a string", List.of("7", "{}", "[]", "null")),
                arguments("kubernetes.io/serviceaccount/uid", "is not a string", List.of("7", "{}", "[]", "null")),
                arguments("kubernetes.io/pod", "is not an object", List.of("7", "\"a\"", "[]", "null")),
                arguments("kubernetes.io/pod/name", "is not a string", List.of("7", "{}", "[]", "null")),
                arguments("kubernetes.io/pod/uid", "is not a string", List.of("7", "{}", "[]", "null")),
                arguments("kubernetes.io/node", "is not an object", List.of("7", "\"a\"", "[]", "null")),
                arguments("kubernetes.io/node/name", "is not a string", List.of("7", "{}", "[]", "null")),
                arguments("kubernetes.io/node/uid", "is not a string", List.of("7", "{}", "[]", "null")))
                .flatMap(row -> ((List<?>) row.get()[2]).stream()
                        .map(json -> arguments(row.get()[0], json, row.get()[1])));
    }

    @ParameterizedTest(name = "{0}: {1}")
    @MethodSource("typedClaims")
    void rejectsAClaimOfTheWrongType(String path, String json, String message) {
        String[] steps = path.split("/");

        String name = steps[steps.length - 1];
        assertInvalid(with(path, json), name + ' ' + message);
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "iss", "sub", "jti", "nbf", "iat", "kubernetes.io", "kubernetes.io/namespace", "kubernetes.io/serviceaccount",
        "kubernetes.io/serviceaccount/name", "kubernetes.io/pod", "kubernetes.io/pod/uid", "kubernetes.io/node"})
    void readsATokenWithoutWhatOtherClustersLeaveOut(String path) {
        assertThat(accepted(without(path))).isNotNull();
    }

    @Test
    void takesAbsentNamesForEmptyOnes() {
        assertThat(accepted(without("kubernetes.io")).claims()).isEqualTo(new WorkloadClaims("", "", "", "", ""));
    }

    @Test
    void knowsTheIssuerOfTheAgentsOwnToken() {
        String own = Tokens.jwt("{}", "{\"iss\":\"https://issuer\",\"aud\":\"https://kubernetes.default.svc\"}");

        assertThat(TokenReader.issuerOf(own)).contains("https://issuer");
        assertThat(TokenReader.issuerOf(own + "\n")).contains("https://issuer");
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "x", "a.b.c", "{}", "e30.e30.c2ln",
        "e30.eyJpc3MiOjd9.c2ln", "e30.eyJpc3MiOiIifQ.c2ln", "e30.W10.c2ln"})
    void knowsNoIssuerOfWhatIsNoTokenOrNamesNone(String token) {
        assertThat(TokenReader.issuerOf(token)).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "\"pods.eks.amazonaws.com\"",
        "[\"pods.eks.amazonaws.com\"]",
        "[\"https://kubernetes.default.svc\",\"pods.eks.amazonaws.com\"]"})
    void readsATokenForTheAudience(String audience) {
        assertThat(accepted(with("aud", audience))).isNotNull();
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "\"sts.amazonaws.com\"", "\"\"", "[]", "[\"sts.amazonaws.com\"]", "\"PODS.eks.amazonaws.com\"",
        "\"pods.eks.amazonaws.com \"", "\"https://pods.eks.amazonaws.com\"", "[\"pods.eks.amazonaws.com.example\"]"})
    void rejectsATokenForAnotherAudience(String audience) {
        assertInvalid(with("aud", audience), "not for the audience pods.eks.amazonaws.com");
    }

    @Test
    void rejectsATokenWithoutAudience() {
        assertInvalid(without("aud"), "not for the audience");
    }

    @Test
    void readsATokenForAConfiguredAudience() {
        assertThat(reader("test.example").read(List.of(with("aud", "\"test.example\""))))
                .isInstanceOf(ServiceAccountToken.class);
        assertRejected(reader("test.example").read(List.of(VALID)), RejectedToken.Kind.INVALID, "audience test.example");
    }

    @Test
    void rejectsATokenWithoutExpiry() {
        assertInvalid(without("exp"), "no exp");
    }

    @ParameterizedTest
    @CsvSource({"0,2026-03-01T12:00:00Z", "-1,2026-03-01T11:59:59Z", "-86400,2026-02-28T12:00:00Z"})
    void saysSinceWhenATokenHasExpired(long seconds, String since) {
        assertRejected(
                reader.read(List.of(with("exp", Long.toString(NOW.getEpochSecond() + seconds)))),
                RejectedToken.Kind.EXPIRED,
                "expired at " + since + ": the SDK has not re-read the token file");
    }

    @Test
    void readsATokenInItsLastMillisecond() {
        String exp = NOW.getEpochSecond() + ".001";

        assertThat(accepted(with("exp", exp)).expiresAt()).isEqualTo(NOW.plusMillis(1));
    }

    @ParameterizedTest
    @ValueSource(strings = {"1772366399.999", "1772366400.0", "1.7723664e9", "0", "0.5", "1e-400", "-0"})
    void rejectsAFractionalExpiryThatIsOver(String exp) {
        assertRejected(reader.read(List.of(with("exp", exp))), RejectedToken.Kind.EXPIRED, "expired at");
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "-1", "-0.001", "1e400", "-1e400", "253402300800", "9223372036854775807", "9223372036854775808",
        "99999999999999999999999999999999", "1772366400000"})
    void rejectsATimeThatIsNone(String number) {
        for (String claim : List.of("exp", "nbf", "iat")) {
            assertInvalid(with(claim, number), claim + " is no time");
        }
    }

    @Test
    void readsATokenForEver() {
        assertThat(accepted(with("exp", "253402300799")).expiresAt()).isEqualTo("9999-12-31T23:59:59Z");
    }

    @Test
    void letsTheClockOfTheApiServerBeAheadAsFarAsItIsTold() {
        TokenReader lenient = new TokenReader("pods.eks.amazonaws.com", Duration.ofSeconds(30), Clock.fixed(NOW, ZoneOffset.UTC));

        assertThat(lenient.read(List.of(with("nbf", Long.toString(NOW.getEpochSecond() + 30)))))
                .isInstanceOf(ServiceAccountToken.class);
        assertThat(lenient.read(List.of(with("nbf", Long.toString(NOW.getEpochSecond() + 31)))))
                .isInstanceOf(RejectedToken.class);
        assertThat(lenient.read(List.of(with("exp", Long.toString(NOW.getEpochSecond())))))
                .isInstanceOf(RejectedToken.class);
    }

    @Test
    void rejectsATokenThatIsNotYetValid() {
        assertInvalid(with("nbf", Long.toString(NOW.getEpochSecond() + 1)), "not valid before 2026-03-01T12:00:01Z");
        assertInvalid(with("nbf", NOW.getEpochSecond() + ".001"), "not valid before");
    }

    @Test
    void readsATokenThatIsValidFromNow() {
        assertThat(accepted(with("nbf", Long.toString(NOW.getEpochSecond())))).isNotNull();
    }

    @Test
    void saysOfAnExpiredTokenForAnotherAudienceThatItIsInvalid() {
        String claims = Tokens.claims(NOW.minusSeconds(100_000), "p").put("aud", "sts.amazonaws.com").encode();

        assertInvalid(Tokens.jwt(Tokens.header().encode(), claims), "audience");
    }

    @Test
    void replacesControlCharactersInNames() {
        assertThat(accepted(withPod("a\r\nlevel=error\u0000\u001b[31m\u007f")).claims().pod())
                .isEqualTo("a??level=error??[31m?");
        assertThat(accepted(withPod("a\u0085b\u009bc\u2028d\u2029")).claims().pod()).isEqualTo("a?b?c?d?");
    }

    @Test
    void cutsNamesAtTheLengthThatKubernetesAllows() {
        assertThat(accepted(withPod("x".repeat(1000))).claims().pod()).isEqualTo("x".repeat(253));
    }

    @Test
    void showsNothingOfTheTokenAsText() {
        ServiceAccountToken token = accepted(VALID);

        assertThat(token.toString()).contains("shop", "cart", "cart-7d9f").doesNotContain(VALID);
        for (String part : VALID.split("\\.")) {
            assertThat(token.toString()).doesNotContain(part);
        }
    }

    static Stream<String> rejectedTokens() {
        return Stream.of(
                Stream.of(
                        "secret-secret-secret",
                        Tokens.jwt("secret-secret-secret", "{}"),
                        Tokens.jwt("{\"alg\":\"secret-secret-secret\"}", "{}"),
                        Tokens.jwt("{\"secret-secret-secret\":1", "{}"),
                        with("aud", "\"secret-secret-secret\""),
                        with("exp", "1"),
                        with("nbf", "4000000000"),
                        "Bearer " + with("exp", "1")),
                malformed().map(row -> (String) row.get()[1]))
                .flatMap(values -> values);
    }

    @ParameterizedTest
    @MethodSource("rejectedTokens")
    void saysNothingOfTheTokenInTheReason(String value) {
        // When
        RejectedToken rejected = (RejectedToken) reader.read(List.of(value));

        // Then
        assertThat(rejected.message()).doesNotContain("secret-secret-secret");
        for (String part : value.split("[. ]")) {
            if (part.length() > 10) {
                assertThat(rejected.toString()).doesNotContain(part);
            }
        }
    }

    @Test
    void givesTheSameTokenTheSameFingerprint() {
        assertThat(accepted(VALID).fingerprint()).isEqualTo(accepted("Bearer " + VALID).fingerprint());
    }

    @Test
    void givesDifferentTokensOfOnePodDifferentFingerprints() {
        TokenFingerprint one = accepted(VALID).fingerprint();
        TokenFingerprint renewed = accepted(Tokens.valid(NOW.minusSeconds(60), "cart-7d9f")).fingerprint();

        assertThat(one).isNotEqualTo(renewed);
        assertThat(one.toString()).matches("[0-9a-f]{8}").isNotEqualTo(renewed.toString());
    }

    @Test
    void givesTokensThatDifferInTheSignatureOnlyDifferentFingerprints() {
        String other = VALID.substring(0, VALID.lastIndexOf('.')) + ".Zm9yZ2Vk";

        assertThat(accepted(other).fingerprint()).isNotEqualTo(accepted(VALID).fingerprint());
    }

    private ServiceAccountToken accepted(String value) {
        Reading reading = reader.read(List.of(value));
        assertThat(reading).isInstanceOf(ServiceAccountToken.class);
        return (ServiceAccountToken) reading;
    }

    private void assertInvalid(String value, String message) {
        assertRejected(reader.read(List.of(value)), RejectedToken.Kind.INVALID, message);
    }

    private static void assertRejected(Reading reading, RejectedToken.Kind kind, String message) {
        assertThat(reading).isInstanceOfSatisfying(RejectedToken.class, rejected -> {
            assertThat(rejected.message()).contains(message).hasSizeLessThan(500);
            assertThat(rejected.kind()).isEqualTo(kind);
        });
    }

    private static TokenReader reader(String audience) {
        return new TokenReader(audience, Clock.fixed(NOW, ZoneOffset.UTC));
    }

    private static String withPod(String name) {
        return with("kubernetes.io/pod/name", new JsonArray().add(name).encode().replaceAll("^\\[|]$", ""));
    }

    /** Returns a token in which any JSON value replaces one claim. */
    private static String with(String path, String json) {
        String claims = changed(path, (parent, name) -> parent.put(name, "@"));
        return Tokens.jwt(Tokens.header().encode(), claims.replace(PLACE, json));
    }

    private static String without(String path) {
        return Tokens.jwt(Tokens.header().encode(), changed(path, JsonObject::remove));
    }

    private static String changed(String path, BiConsumer<JsonObject, String> change) {
        JsonObject claims = Tokens.claims(NOW, "p");
        JsonObject parent = claims;
        String[] steps = path.split("/");
        for (int i = 0; i < steps.length - 1; i++) {
            parent = parent.getJsonObject(steps[i]);
        }
        change.accept(parent, steps[steps.length - 1]);
        return claims.encode();
    }
}
