package dev.podidentity.agent.verification;

import static dev.podidentity.agent.verification.SigningKeys.jwk;
import static dev.podidentity.agent.verification.SigningKeys.jwks;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import dev.podidentity.agent.outbound.CallFailure;
import dev.podidentity.agent.testing.Tokens;
import dev.podidentity.agent.verification.KeySource.PublishedKeys;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class VerificationKeysTest {

    private static final String ISSUER = "https://issuer";
    private static final JsonObject GOOD = jwk("good", SigningKeys.P256);

    static Stream<Arguments> kinds() {
        return Stream.of(
                arguments(jwk("k", SigningKeys.RSA),
                        Set.of(SigningAlgorithm.RS256, SigningAlgorithm.RS384, SigningAlgorithm.RS512)),
                arguments(jwk("k", SigningKeys.RSA).put("alg", "RS256"), Set.of(SigningAlgorithm.RS256)),
                arguments(jwk("k", SigningKeys.P256), Set.of(SigningAlgorithm.ES256)),
                arguments(jwk("k", SigningKeys.P384), Set.of(SigningAlgorithm.ES384)),
                arguments(jwk("k", SigningKeys.P521), Set.of(SigningAlgorithm.ES512)));
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void letsTheKeySayWhatItMayBeUsedWith(JsonObject jwk, Set<SigningAlgorithm> algorithms) throws CallFailure {
        assertThat(read(jwks(jwk)).named("k")).singleElement().satisfies(key ->
                assertThat(key.algorithms()).isEqualTo(algorithms));
    }

    @Test
    void readsAKeyThatDoesNotSayItsUse() throws CallFailure {
        JsonObject jwk = jwk("k", SigningKeys.RSA).put("key_ops", new JsonArray().add("verify"));
        jwk.remove("use");

        assertThat(read(jwks(jwk)).size()).isEqualTo(1);
    }

    @Test
    void doesNotLookAtACertificate() throws CallFailure {
        JsonObject jwk = jwk("k", SigningKeys.RSA).put("x5c", new JsonArray().add("no certificate")).put("x5u", "http://x");

        assertThat(read(jwks(jwk)).size()).isEqualTo(1);
    }

    static Stream<Arguments> unusable() {
        JsonObject secret = new JsonObject().put("kty", "oct").put("kid", "k").put("k", Tokens.base64("secret"));
        JsonObject edwards = new JsonObject().put("kty", "OKP").put("crv", "Ed25519").put("kid", "k")
                .put("x", "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        return Stream.of(
                arguments("for encryption", jwk("k", SigningKeys.RSA).put("use", "enc")),
                arguments("a use that is no text", jwk("k", SigningKeys.RSA).put("use", 7)),
                arguments("for signing only", jwk("k", SigningKeys.RSA).put("key_ops", new JsonArray().add("sign"))),
                arguments("operations that are no array", jwk("k", SigningKeys.RSA).put("key_ops", "verify")),
                arguments("a private RSA key", SigningKeys.privateJwk("k", SigningKeys.RSA)),
                arguments("a private EC key", SigningKeys.privateJwk("k", SigningKeys.P256)),
                arguments("symmetric", secret),
                arguments("an Edwards curve", edwards),
                arguments("RSA under 2048 bits", jwk("k", SigningKeys.SHORT_RSA)),
                arguments("RSA over 8192 bits", jwk("k", SigningKeys.RSA).put("n", Tokens.base64(odd(8200 / 8)))),
                arguments("RSA whose exponent makes every signature good", jwk("k", SigningKeys.RSA).put("e", "AQ")),
                arguments("RSA with an exponent of 0", jwk("k", SigningKeys.RSA).put("e", "AA")),
                arguments("RSA without exponent", without(jwk("k", SigningKeys.RSA), "e")),
                arguments("RSA without modulus", without(jwk("k", SigningKeys.RSA), "n")),
                arguments("a modulus that is no text", jwk("k", SigningKeys.RSA).put("n", 65537)),
                arguments("a modulus that is not base64url", jwk("k", SigningKeys.RSA).put("n", "+/+/")),
                arguments("a point beside the curve",
                        jwk("k", SigningKeys.P256).put("y", jwk("k", SigningKeys.P256).getString("x"))),
                arguments("a point of a larger curve", jwk("k", SigningKeys.P384).put("crv", "P-256")),
                arguments("EC without y", without(jwk("k", SigningKeys.P256), "y")),
                arguments("EC without curve", without(jwk("k", SigningKeys.P256), "crv")),
                arguments("an unknown curve", jwk("k", SigningKeys.P256).put("crv", "P-255")),
                arguments("a curve that tokens are not signed with", jwk("k", SigningKeys.P256).put("crv", "secp256k1")),
                arguments("an algorithm for another kind", jwk("k", SigningKeys.RSA).put("alg", "ES256")),
                arguments("an algorithm for another curve", jwk("k", SigningKeys.P256).put("alg", "ES384")),
                arguments("alg none", jwk("k", SigningKeys.RSA).put("alg", "none")),
                arguments("alg HS256", jwk("k", SigningKeys.RSA).put("alg", "HS256")),
                arguments("an alg that is no text", jwk("k", SigningKeys.RSA).put("alg", 256)),
                arguments("no kid", without(jwk("k", SigningKeys.RSA), "kid")),
                arguments("an empty kid", jwk("", SigningKeys.RSA)),
                arguments("a kid that is no text", jwk("k", SigningKeys.RSA).put("kid", 7)),
                arguments("no kind", without(jwk("k", SigningKeys.RSA), "kty")),
                arguments("another kind", jwk("k", SigningKeys.RSA).put("kty", "EC")));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("unusable")
    void leavesOutAKeyThatTokensMayNotBeSignedWith(String name, JsonObject jwk) throws CallFailure {
        assertThat(read(jwks(jwk, GOOD)).byId()).containsOnlyKeys("good");
        assertThatThrownBy(() -> read(jwks(jwk)))
                .isInstanceOf(CallFailure.class)
                .hasMessageStartingWith("None of the 1 published keys can verify a token");
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "x", "[]", "null", "7", "{}", "{\"keys\":null}", "{\"keys\":{}}",
        "{\"keys\":\"x\"}", "{\"keys\":[]}", "{\"keys\":[null,7,\"x\",[],{}]}", "{\"keys\":[",
        "<html>Bad gateway</html>", "{\"keys\":[],\"keys\":[]}"})
    void failsOnWhatIsNoKeySet(String jwks) {
        assertThatThrownBy(() -> read(jwks))
                .isInstanceOfSatisfying(CallFailure.class, failure -> assertThat(failure.forbidden()).isFalse())
                .hasMessageContaining("published keys");
    }

    @Test
    void failsOnMoreThanAnyClusterPublishes() {
        String tooLong = " ".repeat(VerificationKeys.LONGEST) + jwks(GOOD);

        assertThatThrownBy(() -> read(tooLong)).isInstanceOf(CallFailure.class).hasMessageContaining("characters long");
    }

    @Test
    void failsWithoutIssuer() {
        assertThatThrownBy(() -> VerificationKeys.read(new PublishedKeys("", jwks(GOOD))))
                .isInstanceOf(CallFailure.class)
                .hasMessageContaining("without an issuer");
    }

    @Test
    void keepsSeveralKeysOfOneId() throws CallFailure {
        VerificationKeys keys = read(jwks(jwk("k", SigningKeys.RSA), jwk("k", SigningKeys.P256), jwk("k", SigningKeys.RSA)));

        assertThat(keys.named("k")).extracting(VerificationKey::key)
                .containsExactlyInAnyOrder(SigningKeys.RSA.getPublic(), SigningKeys.P256.getPublic());
        assertThat(keys.named("other")).isEmpty();
    }

    @Test
    void isTheSameInAnyOrderAndSpelling() throws CallFailure {
        VerificationKeys keys = read(jwks(GOOD, jwk("k", SigningKeys.RSA)));

        assertThat(read(jwks(jwk("k", SigningKeys.RSA).put("x5t", "new"), GOOD) + "\n")).isEqualTo(keys);
        assertThat(read(jwks(jwk("k", SigningKeys.OTHER_RSA), GOOD))).isNotEqualTo(keys);
        assertThat(read(jwks(GOOD))).isNotEqualTo(keys);
        assertThat(VerificationKeys.read(new PublishedKeys("https://other", jwks(GOOD, jwk("k", SigningKeys.RSA)))))
                .isNotEqualTo(keys);
    }

    private static VerificationKeys read(String jwks) throws CallFailure {
        return VerificationKeys.read(new PublishedKeys(ISSUER, jwks));
    }

    private static JsonObject without(JsonObject jwk, String member) {
        jwk.remove(member);
        return jwk;
    }

    private static byte[] odd(int bytes) {
        byte[] number = new byte[bytes];
        number[0] = (byte) 0x80;
        number[bytes - 1] = 1;
        return number;
    }
}
