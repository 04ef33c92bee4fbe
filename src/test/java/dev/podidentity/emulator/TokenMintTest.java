package dev.podidentity.emulator;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.emulator.TokenRequest.Algorithm;
import dev.podidentity.emulator.TokenVerification.Expired;
import dev.podidentity.emulator.TokenVerification.Invalid;
import dev.podidentity.emulator.TokenVerification.Verified;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Base64;
import org.jose4j.jwk.RsaJsonWebKey;
import org.jose4j.jwk.RsaJwkGenerator;
import org.jose4j.jws.JsonWebSignature;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class TokenMintTest {

    private final TokenMint mint = new TokenMint("pods.eks.amazonaws.com");
    private final Instant now = Instant.now().truncatedTo(ChronoUnit.SECONDS);

    @ParameterizedTest
    @EnumSource
    void verifiesWhatItMinted(Algorithm algorithm) {
        // Given
        String token = mint.mint(request().withIssuedAt(now).withAlgorithm(algorithm));

        // Then
        assertThat(part(token, 0).getString("alg")).isEqualTo(algorithm.name());
        assertThat(mint.verify(token, now))
                .isEqualTo(new Verified("default", "demo", "demo-0", now.plus(Duration.ofDays(1))));
    }

    @Test
    void mintsTheClaimsOfAProjectedToken() {
        // Given
        String token = mint.mint(request().withIssuedAt(now).withPodUid("pod-uid").withNode("node-1"));

        // When
        JsonObject claims = part(token, 1);

        // Then
        assertThat(part(token, 0).getString("kid")).isNotBlank();
        assertThat(claims.getString("iss")).isEqualTo(TokenMint.ISSUER).startsWith("https://oidc.eks.");
        assertThat(claims.getString("sub")).isEqualTo("system:serviceaccount:default:demo");
        assertThat(claims.getJsonArray("aud")).isEqualTo(new JsonArray().add("pods.eks.amazonaws.com"));
        assertThat(claims.getLong("iat")).isEqualTo(now.getEpochSecond());
        assertThat(claims.getLong("nbf")).isEqualTo(now.getEpochSecond());
        assertThat(claims.getLong("exp")).isEqualTo(now.getEpochSecond() + 86_400);
        assertThat(claims.getString("jti")).isNotBlank();
        JsonObject kubernetes = claims.getJsonObject("kubernetes.io");
        assertThat(kubernetes.getString("namespace")).isEqualTo("default");
        assertThat(kubernetes.getJsonObject("serviceaccount").getString("name")).isEqualTo("demo");
        assertThat(kubernetes.getJsonObject("serviceaccount").getString("uid")).isNotBlank();
        assertThat(kubernetes.getJsonObject("pod"))
                .isEqualTo(new JsonObject().put("name", "demo-0").put("uid", "pod-uid"));
        assertThat(kubernetes.getJsonObject("node").getString("name")).isEqualTo("node-1");
        assertThat(kubernetes.getJsonObject("node").getString("uid")).isNotBlank();
    }

    @Test
    void rejectsClaimsThatWereChanged() {
        // Given
        String token = mint.mint(request());
        String[] parts = token.split("\\.");
        JsonObject claims = part(token, 1);
        claims.getJsonObject("kubernetes.io").put("namespace", "kube-system");
        String forged = parts[0] + "." + encode(claims) + "." + parts[2];

        // Then
        assertThat(mint.verify(forged, now)).isInstanceOf(Invalid.class);
    }

    @Test
    void rejectsAKeyThatTheClusterDoesNotHave() throws Exception {
        // Given
        RsaJsonWebKey stranger = RsaJwkGenerator.generateJwk(2048);
        String token = mint.mint(request());
        String kid = part(token, 0).getString("kid");

        // Then
        assertThat(mint.verify(sign(token, stranger, "another"), now)).isInstanceOf(Invalid.class);
        assertThat(mint.verify(sign(token, stranger, kid), now)).isInstanceOf(Invalid.class);
    }

    @Test
    void rejectsATokenOfAnotherIssuer() {
        assertThat(mint.verify(mint.mint(request().withIssuer("https://issuer.example")), now)).isInstanceOf(Invalid.class);
    }

    @Test
    void givesAServiceAccountTheSameUidUntilItIsMadeAnew() {
        assertThat(serviceAccountUid(request())).isEqualTo(serviceAccountUid(request().withPodUid("another")));
        assertThat(serviceAccountUid(request().withServiceAccountUid("made-anew"))).isEqualTo("made-anew");
    }

    private String serviceAccountUid(TokenRequest request) {
        return part(mint.mint(request), 1).getJsonObject("kubernetes.io").getJsonObject("serviceaccount").getString("uid");
    }

    @Test
    void publishesTheKeysOfItsTokensAndNothingPrivate() {
        // Given
        String token = mint.mint(request().withAlgorithm(Algorithm.ES256));

        // When
        JsonArray one = new JsonObject(mint.jwks(Algorithm.ES256)).getJsonArray("keys");
        JsonArray both = new JsonObject(mint.jwks(Algorithm.RS256, Algorithm.ES256)).getJsonArray("keys");

        // Then
        assertThat(one.getJsonObject(0).getString("kid")).isEqualTo(part(token, 0).getString("kid"));
        assertThat(one).hasSize(1);
        assertThat(both).hasSize(2).allSatisfy(key -> assertThat(((JsonObject) key).containsKey("d")).isFalse());
    }

    @Test
    void rejectsATokenWithoutSignature() {
        // Given
        JsonObject claims = part(mint.mint(request()), 1);
        String unsigned = encode(new JsonObject().put("alg", "none")) + "." + encode(claims) + ".";

        // Then
        assertThat(mint.verify(unsigned, now)).isInstanceOf(Invalid.class);
    }

    @Test
    void saysSinceWhenATokenIsExpired() {
        // Given
        String token = mint.mint(request().withIssuedAt(now).withLifetime(Duration.ofMinutes(10)));
        Instant end = now.plus(Duration.ofMinutes(10));

        // Then
        assertThat(mint.verify(token, end.minusSeconds(1))).isInstanceOf(Verified.class);
        assertThat(mint.verify(token, end)).isEqualTo(new Expired(end));
    }

    @Test
    void rejectsATokenThatIsNotYetValid() {
        // Given
        String token = mint.mint(request().withNotBefore(now.plusSeconds(60)));

        // Then
        assertThat(mint.verify(token, now)).isInstanceOf(Invalid.class);
    }

    @Test
    void acceptsAnyTokenThatNamesTheAudienceAmongOthers() {
        assertThat(mint.verify(mint.mint(request().withAudience("vault", "pods.eks.amazonaws.com")), now))
                .isInstanceOf(Verified.class);
        assertThat(mint.verify(mint.mint(request().withAudience("vault")), now)).isInstanceOf(Invalid.class);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "token", "a.b", "a.b.c", "..", "a.b.c.d.e"})
    void rejectsWhatIsNoToken(String token) {
        assertThat(mint.verify(token, now)).isInstanceOf(Invalid.class);
    }

    private TokenRequest request() {
        return mint.request("default", "demo", "demo-0");
    }

    private static String sign(String token, RsaJsonWebKey key, String kid) throws Exception {
        JsonWebSignature signature = new JsonWebSignature();
        signature.setPayload(part(token, 1).encode());
        signature.setAlgorithmHeaderValue("RS256");
        signature.setKeyIdHeaderValue(kid);
        signature.setKey(key.getPrivateKey());
        return signature.getCompactSerialization();
    }

    private static JsonObject part(String token, int index) {
        byte[] json = Base64.getUrlDecoder().decode(token.split("\\.")[index]);
        return new JsonObject(new String(json, StandardCharsets.UTF_8));
    }

    private static String encode(JsonObject json) {
        return Base64.getUrlEncoder().withoutPadding().encodeToString(json.encode().getBytes(StandardCharsets.UTF_8));
    }
}
