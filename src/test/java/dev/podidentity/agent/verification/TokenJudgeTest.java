package dev.podidentity.agent.verification;

import static dev.podidentity.agent.verification.SigningKeys.header;
import static dev.podidentity.agent.verification.SigningKeys.jwk;
import static dev.podidentity.agent.verification.SigningKeys.jwks;
import static dev.podidentity.agent.verification.SigningKeys.mac;
import static dev.podidentity.agent.verification.SigningKeys.sign;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import dev.podidentity.agent.outbound.CallFailure;
import dev.podidentity.agent.testing.Tokens;
import dev.podidentity.agent.token.NotVerified;
import dev.podidentity.agent.token.NotVerified.Reason;
import dev.podidentity.agent.token.RejectedToken;
import dev.podidentity.agent.token.Verification;
import dev.podidentity.agent.token.VerifiedClaims;
import dev.podidentity.agent.verification.KeySource.PublishedKeys;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.nio.charset.StandardCharsets;
import java.security.KeyPair;
import java.time.Instant;
import java.util.Arrays;
import java.util.Base64;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Tokens with real signatures, genuine and forged. */
class TokenJudgeTest {

    private static final Instant NOW = Instant.parse("2026-03-01T12:00:00Z");
    private static final JsonObject CLAIMS = Tokens.claims(NOW, "cart-7d9f");
    private static final String ISSUER = CLAIMS.getString("iss");
    private static final VerificationKeys KEYS = keys(
            jwk("rsa", SigningKeys.RSA),
            jwk("p256", SigningKeys.P256),
            jwk("p384", SigningKeys.P384),
            jwk("p521", SigningKeys.P521),
            jwk("only-rs384", SigningKeys.OTHER_RSA).put("alg", "RS384"),
            jwk("twice", SigningKeys.RSA),
            jwk("twice", SigningKeys.OTHER_RSA),
            jwk("twice", SigningKeys.P256));
    private static final String GENUINE = sign(header("RS256", "rsa"), CLAIMS, SigningKeys.RSA.getPrivate());
    private static final VerifiedClaims PROVED =
            new VerifiedClaims(ISSUER, "shop", "cart", "sa-uid", "cart-7d9f", "pod-uid", Optional.of("node-1"));

    private final TokenJudge judge = new TokenJudge(Tokens.AUDIENCE);

    static Stream<Arguments> algorithms() {
        return Stream.of(
                arguments("RS256", "rsa", SigningKeys.RSA),
                arguments("RS384", "rsa", SigningKeys.RSA),
                arguments("RS512", "rsa", SigningKeys.RSA),
                arguments("RS384", "only-rs384", SigningKeys.OTHER_RSA),
                arguments("ES256", "p256", SigningKeys.P256),
                arguments("ES384", "p384", SigningKeys.P384),
                arguments("ES512", "p521", SigningKeys.P521),
                arguments("RS256", "twice", SigningKeys.RSA),
                arguments("RS256", "twice", SigningKeys.OTHER_RSA),
                arguments("ES256", "twice", SigningKeys.P256));
    }

    @ParameterizedTest(name = "{0} with {1}")
    @MethodSource("algorithms")
    void provesWhatAGenuineTokenClaims(String algorithm, String keyId, KeyPair pair) {
        String token = sign(header(algorithm, keyId), CLAIMS, pair.getPrivate());

        assertThat(judged(token)).isEqualTo(PROVED);
    }

    static Stream<Arguments> forgeries() {
        JsonObject hmac = header("HS256", "rsa");
        byte[] der = SigningKeys.RSA.getPublic().getEncoded();
        String pem = "-----BEGIN PUBLIC KEY-----\n" + Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(der)
                + "\n-----END PUBLIC KEY-----\n";
        String jwkText = jwk("rsa", SigningKeys.RSA).encode();
        JsonObject own = jwk("own", SigningKeys.OTHER_P256);
        return Stream.of(
                arguments("alg none, no signature", unsigned("none") + "AA", "alg is not one that its key"),
                arguments("alg none, a genuine signature", unsigned("none") + signatureOf(GENUINE), "alg is not one"),
                arguments("alg nOnE", unsigned("nOnE") + signatureOf(GENUINE), "alg is not one"),
                arguments("HS256 with the key's DER", mac(hmac, CLAIMS, der), "alg is not one"),
                arguments("HS256 with the key's PEM", mac(hmac, CLAIMS, pem.getBytes(StandardCharsets.US_ASCII)),
                        "alg is not one"),
                arguments("HS256 with the key's PEM in one line",
                        mac(hmac, CLAIMS, pem.strip().getBytes(StandardCharsets.US_ASCII)), "alg is not one"),
                arguments("HS256 with the JWK", mac(hmac, CLAIMS, jwkText.getBytes(StandardCharsets.US_ASCII)),
                        "alg is not one"),
                arguments("HS256 with the JWKS",
                        mac(hmac, CLAIMS, jwks(jwk("rsa", SigningKeys.RSA)).getBytes(StandardCharsets.US_ASCII)),
                        "alg is not one"),
                arguments("PS256, which Kubernetes does not use", unsigned("PS256") + signatureOf(GENUINE), "alg is not one"),
                arguments("no alg",
                        Tokens.jwt(new JsonObject().put("kid", "rsa").encode(), CLAIMS.encode()), "has no alg"),
                arguments("alg in small letters", unsigned("rs256") + signatureOf(GENUINE), "alg is not one"),
                arguments("an EC signature under an RSA key's kid",
                        sign(header("ES256", "rsa"), CLAIMS, SigningKeys.P256.getPrivate()), "alg is not one"),
                arguments("an RSA signature under an EC key's kid",
                        sign(header("RS256", "p256"), CLAIMS, SigningKeys.RSA.getPrivate()), "alg is not one"),
                arguments("ES384 with a key of P-256", relabelled("ES384", "p256", SigningKeys.P256, "ES256"),
                        "alg is not one"),
                arguments("ES256 with a key of P-384", relabelled("ES256", "p384", SigningKeys.P384, "ES384"),
                        "alg is not one"),
                arguments("RS256 with a key for RS384",
                        sign(header("RS256", "only-rs384"), CLAIMS, SigningKeys.OTHER_RSA.getPrivate()), "alg is not one"),
                arguments("RS512 over a signature of RS256", relabelled("RS512", "rsa", SigningKeys.RSA, "RS256"),
                        "signature is not"),
                arguments("another RSA key", sign(header("RS256", "rsa"), CLAIMS, SigningKeys.OTHER_RSA.getPrivate()),
                        "signature is not"),
                arguments("another EC key", sign(header("ES256", "p256"), CLAIMS, SigningKeys.OTHER_P256.getPrivate()),
                        "signature is not"),
                arguments("a key of none of those with that kid",
                        sign(header("ES256", "twice"), CLAIMS, SigningKeys.OTHER_P256.getPrivate()), "signature is not"),
                arguments("a key in its header",
                        sign(header("ES256", "p256").put("jwk", own), CLAIMS, SigningKeys.OTHER_P256.getPrivate()),
                                "signature is not"),
                arguments("an address of keys in its header",
                        sign(header("ES256", "p256").put("jku", "http://127.0.0.1:1/jwks").put("x5u",
                                "http://127.0.0.1:1/cert"),
                                CLAIMS, SigningKeys.OTHER_P256.getPrivate()), "signature is not"),
                arguments("another pod's claims", withPayload(GENUINE, Tokens.claims(NOW, "other")), "signature is not"),
                arguments("another header", withHeader(GENUINE, header("RS256", "rsa").put("typ", "JWT")), "signature is not"),
                arguments("a critical header",
                        sign(header("RS256", "rsa").put("crit", new JsonArray().add("exp")), CLAIMS,
                                SigningKeys.RSA.getPrivate()), "crit"),
                arguments("a critical header of nothing",
                        sign(header("RS256", "rsa").put("crit", new JsonArray()), CLAIMS, SigningKeys.RSA.getPrivate()),
                                "crit"),
                arguments("an unencoded payload",
                        sign(header("RS256", "rsa").put("crit", new JsonArray().add("b64")).put("b64", false), CLAIMS,
                                SigningKeys.RSA.getPrivate()), "crit"),
                arguments("kid twice in its header",
                        sign("{\"alg\":\"RS256\",\"kid\":\"rsa\",\"kid\":\"p256\"}", CLAIMS.encode(), "RS256",
                                SigningKeys.RSA.getPrivate()), "header is not JSON"),
                arguments("a claim twice",
                        sign("{\"alg\":\"RS256\",\"kid\":\"rsa\"}", CLAIMS.encode().replaceFirst("\\{", "{\"iss\":\"x\","),
                                "RS256",
                                SigningKeys.RSA.getPrivate()), "claims is not JSON"),
                arguments("a kid that is no text",
                        sign(new JsonObject().put("alg", "RS256").put("kid", 1), CLAIMS, SigningKeys.RSA.getPrivate()),
                                "kid is not a string"),
                arguments("padding", GENUINE + "=", "it has padding"),
                arguments("white space in its signature", GENUINE + " ", "not base64url"),
                arguments("the alphabet of plain base64", GENUINE.substring(0, GENUINE.length() - 2) + "+/", "not base64url"),
                arguments("two tokens", GENUINE + "." + GENUINE, "6 parts"));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("forgeries")
    void rejectsAForgery(String name, String token, String message) {
        assertRejected(token, message);
    }

    static Stream<Arguments> claimsOfOthers() {
        return Stream.of(
                claims("no issuer", claims -> claims.remove("iss"), "no iss claim"),
                claims("an empty issuer", claims -> claims.put("iss", ""), "no iss claim"),
                claims("an issuer that is no text", claims -> claims.put("iss", 7), "iss is not a string"),
                claims("another issuer and audience", claims -> claims.put("iss", "https://other").put("aud", "x"), "audience"),
                claims("another issuer, expired", claims -> claims.put("iss", "https://other").put("exp", NOW.getEpochSecond()),
                        "expired"),
                claims("another audience", claims -> claims.put("aud", "sts.amazonaws.com"), "audience"),
                claims("no audience", claims -> claims.remove("aud"), "audience"),
                claims("an audience that is no text", claims -> claims.put("aud", 7), "aud is not"),
                claims("expired", claims -> claims.put("exp", NOW.getEpochSecond()), "expired at 2026-03-01T12:00:00Z"),
                claims("expired for a second", claims -> claims.put("exp", NOW.getEpochSecond() - 1), "expired"),
                claims("no exp", claims -> claims.remove("exp"), "no exp"),
                claims("not valid yet", claims -> claims.put("nbf", NOW.getEpochSecond() + 31), "not valid before"),
                claims("issued in the future", claims -> claims.put("iat", NOW.getEpochSecond() + 31), "in the future"),
                claims("another subject", claims -> claims.put("sub", "system:serviceaccount:shop:admin"), "sub is not"),
                claims("a subject of another namespace", claims -> claims.put("sub", "system:serviceaccount:x:cart"),
                        "sub is not"),
                claims("a user", claims -> claims.put("sub", "cart"), "sub is not"),
                claims("no subject", claims -> claims.remove("sub"), "sub is not"),
                claims("a subject that is no text", claims -> claims.put("sub", 7), "sub is not a string"),
                claims("no Kubernetes claims", claims -> claims.remove("kubernetes.io"), "not the projected token"),
                kubernetes("no namespace", claims -> claims.remove("namespace"), "not the projected token"),
                kubernetes("an empty namespace", claims -> claims.put("namespace", ""), "not the projected token"),
                kubernetes("no service account", claims -> claims.remove("serviceaccount"), "not the projected token"),
                kubernetes("no service account UID", claims -> claims.getJsonObject("serviceaccount").remove("uid"),
                        "not the projected"),
                kubernetes("a service account that is a text", claims -> claims.put("serviceaccount", "cart"),
                        "is not an object"),
                kubernetes("a namespace that is a number", claims -> claims.put("namespace", 7), "is not a string"),
                kubernetes("a pod that is a text", claims -> claims.put("pod", "cart"), "is not an object"),
                kubernetes("a pod UID that is a number", claims -> claims.getJsonObject("pod").put("uid", 7),
                        "is not a string"),
                kubernetes("a node that is a text", claims -> claims.put("node", "node-1"), "is not an object"));
    }

    /** Signed by the cluster, but for another purpose. */
    @ParameterizedTest(name = "{0}")
    @MethodSource("claimsOfOthers")
    void rejectsAGenuineSignatureOverOtherClaims(String name, JsonObject claims, String message) {
        assertRejected(sign(header("RS256", "rsa"), claims, SigningKeys.RSA.getPrivate()), message);
    }

    @Test
    void tellsAnExpiredTokenFromAnInvalidOne() {
        JsonObject claims = CLAIMS.copy().put("exp", NOW.getEpochSecond());

        assertThat(judged(sign(header("RS256", "rsa"), claims, SigningKeys.RSA.getPrivate()))).isInstanceOfSatisfying(
                RejectedToken.class, rejected -> assertThat(rejected.kind()).isEqualTo(RejectedToken.Kind.EXPIRED));
    }

    @Test
    void letsTheClockOfTheApiServerBeALittleAhead() {
        JsonObject claims = CLAIMS.copy().put("iat", NOW.getEpochSecond() + 30);

        assertThat(judged(sign(header("RS256", "rsa"), claims, SigningKeys.RSA.getPrivate()))).isEqualTo(PROVED);
    }

    static Stream<Arguments> signatures() {
        return Stream.of(
                arguments("ES256", "p256", SigningKeys.P256),
                arguments("ES384", "p384", SigningKeys.P384),
                arguments("ES512", "p521", SigningKeys.P521),
                arguments("RS256", "rsa", SigningKeys.RSA));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("signatures")
    void rejectsASignatureOfZeros(String algorithm, String keyId, KeyPair pair) {
        // CVE-2022-21449: with r and s of 0, some implementations accept any signature
        byte[] zeros = new byte[signatureBytes(sign(header(algorithm, keyId), CLAIMS, pair.getPrivate())).length];

        assertRejected(withSignature(sign(header(algorithm, keyId), CLAIMS, pair.getPrivate()), zeros), "signature is not");
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("signatures")
    void rejectsASignatureCutShortAnywhere(String algorithm, String keyId, KeyPair pair) {
        String genuine = sign(header(algorithm, keyId), CLAIMS, pair.getPrivate());
        byte[] whole = signatureBytes(genuine);

        for (int length = 0; length < whole.length; length++) {
            byte[] cut = Arrays.copyOf(whole, length);
            assertThat(judged(withSignature(genuine, cut))).as("%d bytes", length).isInstanceOf(RejectedToken.class);
        }
        assertRejected(withSignature(genuine, Arrays.copyOf(whole, whole.length + 1)), "signature is not");
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("signatures")
    void rejectsASignatureWithAnyBitFlipped(String algorithm, String keyId, KeyPair pair) {
        String genuine = sign(header(algorithm, keyId), CLAIMS, pair.getPrivate());
        byte[] whole = signatureBytes(genuine);

        // Every 7th bit covers all bits of a byte and all bytes in a seventh of the time.
        IntStream.range(0, whole.length * 8).filter(bit -> bit % 7 == 0).forEach(bit -> {
            byte[] flipped = whole.clone();
            flipped[bit / 8] ^= (byte) (1 << bit % 8);
            assertThat(judged(withSignature(genuine, flipped))).as("bit %d", bit).isInstanceOf(RejectedToken.class);
        });
    }

    @Test
    void rejectsASecondTextOfAGenuineToken() {
        // Given: 64 bytes take 86 characters, of which the last has 4 spare bits
        String genuine = sign(header("ES256", "p256"), CLAIMS, SigningKeys.P256.getPrivate());
        String alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        int last = alphabet.indexOf(genuine.charAt(genuine.length() - 1));

        // When
        String other = genuine.substring(0, genuine.length() - 1) + alphabet.charAt(last + 1);

        // Then
        assertThat(signatureBytes(other)).isEqualTo(signatureBytes(genuine));
        assertRejected(other, "bits are set beyond its end");
    }

    @ParameterizedTest
    @ValueSource(strings = {"{\"alg\":\"RS256\"}", "{\"alg\":\"RS256\",\"kid\":\"\"}", "{\"alg\":\"RS256\",\"kid\":\"unknown\"}",
        "{\"alg\":\"RS256\",\"kid\":\"RSA\"}", "{\"alg\":\"none\",\"kid\":\"unknown\"}"})
    void leavesATokenOfAnUnknownKeyToEksAuth(String header) {
        String token = sign(header, CLAIMS.encode(), "RS256", SigningKeys.RSA.getPrivate());

        assertThat(judged(token)).isEqualTo(new NotVerified(Reason.UNKNOWN_KEY));
    }

    @ParameterizedTest
    @ValueSource(strings = {"https://other", "/"})
    void leavesATokenOfAnotherIssuerToEksAuthIfOneOfTheKeysHasSignedIt(String suffix) {
        // Given
        JsonObject claims = CLAIMS.copy().put("iss", suffix.equals("/") ? ISSUER + "/" : suffix);

        // Then
        assertThat(judged(sign(header("RS256", "rsa"), claims, SigningKeys.RSA.getPrivate())))
                .isEqualTo(new NotVerified(Reason.OTHER_ISSUER));
        assertRejected(sign(header("RS256", "rsa"), claims, SigningKeys.OTHER_RSA.getPrivate()), "signature is not");
    }

    @Test
    void comparesTheTimesOfATokenWithTheClockEachTime() {
        // Given
        JsonObject claims = CLAIMS.copy()
                .put("iat", NOW.getEpochSecond())
                .put("nbf", NOW.getEpochSecond())
                .put("exp", NOW.plusSeconds(3600).getEpochSecond());
        Judgement judgement = judge.judge(sign(header("RS256", "rsa"), claims, SigningKeys.RSA.getPrivate()), KEYS);

        // When, Then: a clock that is wrong, and is corrected
        assertThat(judgement.at(NOW.plusSeconds(3600))).isInstanceOfSatisfying(
                RejectedToken.class, rejected -> assertThat(rejected.kind()).isEqualTo(RejectedToken.Kind.EXPIRED));
        assertThat(judgement.at(NOW.minusSeconds(31))).isInstanceOf(RejectedToken.class);
        assertThat(judgement.at(NOW.minusSeconds(30))).isEqualTo(PROVED);
        assertThat(judgement.at(NOW.plusSeconds(3599))).isEqualTo(PROVED);
    }

    @Test
    void leavesAGenuineTokenOfNoPodToEksAuth() {
        for (String claim : new String[] {"pod", "pod/name", "pod/uid"}) {
            JsonObject claims = CLAIMS.copy();
            JsonObject kubernetes = claims.getJsonObject("kubernetes.io");
            if (claim.equals("pod")) {
                kubernetes.remove("pod");
            } else {
                kubernetes.getJsonObject("pod").put(claim.substring(4), "");
            }

            assertThat(judged(sign(header("RS256", "rsa"), claims, SigningKeys.RSA.getPrivate())))
                    .as(claim)
                    .isEqualTo(new NotVerified(Reason.NO_POD));
        }
    }

    @Test
    void doesWithoutTheNodeThatOlderClustersDoNotName() {
        JsonObject claims = CLAIMS.copy();
        claims.getJsonObject("kubernetes.io").remove("node");

        assertThat(judged(sign(header("RS256", "rsa"), claims, SigningKeys.RSA.getPrivate()))).isInstanceOfSatisfying(
                VerifiedClaims.class, proved -> assertThat(proved.node()).isEmpty());
    }

    @Test
    void takesNamesAsTheyAreSigned() {
        // Given: values that the reader would truncate and sanitize for logs
        String pod = "a\u0007" + "b".repeat(300);

        // When
        Verification judged = judged(sign(header("RS256", "rsa"), Tokens.claims(NOW, pod), SigningKeys.RSA.getPrivate()));

        // Then
        assertThat(judged).isInstanceOfSatisfying(VerifiedClaims.class, proved -> assertThat(proved.pod()).isEqualTo(pod));
    }

    @Test
    void keepsTheTokenOutOfItsMessages() {
        forgeries().forEach(row -> {
            String token = (String) row.get()[1];
            assertThat(judged(token).toString()).doesNotContain(token, token.substring(token.lastIndexOf('.') - 20));
        });
    }

    private Verification judged(String token) {
        return judge.judge(token, KEYS).at(NOW);
    }

    private void assertRejected(String token, String message) {
        assertThat(judged(token)).isInstanceOfSatisfying(
                RejectedToken.class, rejected -> assertThat(rejected.message()).contains(message));
    }

    private static Arguments claims(String name, Consumer<JsonObject> change, String message) {
        JsonObject claims = CLAIMS.copy();
        change.accept(claims);
        return arguments(name, claims, message);
    }

    private static Arguments kubernetes(String name, Consumer<JsonObject> change, String message) {
        return claims(name, claims -> change.accept(claims.getJsonObject("kubernetes.io")), message);
    }

    private static VerificationKeys keys(JsonObject... keys) {
        try {
            return VerificationKeys.read(new PublishedKeys(ISSUER, jwks(keys)));
        } catch (CallFailure e) {
            throw new IllegalStateException(e);
        }
    }

    /** Returns header and claims with the kid of the RSA key, without a signature. */
    private static String unsigned(String algorithm) {
        return Tokens.base64(header(algorithm, "rsa").encode()) + '.' + Tokens.base64(CLAIMS.encode()) + '.';
    }

    /** Returns a token that names another algorithm than it is signed with. */
    private static String relabelled(String said, String keyId, KeyPair pair, String used) {
        return sign(header(said, keyId).encode(), CLAIMS.encode(), used, pair.getPrivate());
    }

    private static String withHeader(String token, JsonObject header) {
        return Tokens.base64(header.encode()) + token.substring(token.indexOf('.'));
    }

    private static String withPayload(String token, JsonObject claims) {
        return token.substring(0, token.indexOf('.') + 1) + Tokens.base64(claims.encode()) + '.' + signatureOf(token);
    }

    private static String withSignature(String token, byte[] signature) {
        return token.substring(0, token.lastIndexOf('.') + 1) + Tokens.base64(signature);
    }

    private static String signatureOf(String token) {
        return token.substring(token.lastIndexOf('.') + 1);
    }

    private static byte[] signatureBytes(String token) {
        return Base64.getUrlDecoder().decode(signatureOf(token));
    }
}
