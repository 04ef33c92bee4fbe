package dev.podidentity.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import dev.podidentity.emulator.TokenRequest;
import dev.podidentity.emulator.TokenRequest.Algorithm;
import dev.podidentity.emulator.TokenVerification;
import io.vertx.core.json.JsonObject;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.stream.Stream;
import org.jose4j.lang.JoseException;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** A pod that tries to get another pod's credentials, which are cached and shared by all pods that prove their identity. */
class ForgedTokensIT {

    private static final String INVALID = "InvalidTokenException";
    private static final String OTHER_ISSUER = "https://oidc.eks.us-west-2.amazonaws.com/id/ANOTHER";
    private static final String NOT_SIGNED = "The token's signature is not the cluster's";

    @TempDir
    private static Path directory;

    private static ForgedTokens forger;
    private static Cluster cluster;
    private static AgentProcess agent;
    /** The victim's token, which has been used, so that its credentials are in the cache. */
    private static TokenRequest victim;
    private static String victimsCredentials;
    /** The attacker's own token, which is genuine. */
    private static String own;

    @BeforeAll
    static void start() throws IOException, InterruptedException, JoseException {
        forger = new ForgedTokens();
        cluster = Cluster.start(directory);
        agent = cluster.verifyingAgent();
        victim = cluster.request("victim");
        own = cluster.mint(cluster.request(Emulators.NAMESPACE, "attackers", "attacker"));
        cluster.eksAuth().associate(Emulators.NAMESPACE, "attackers", "arn:aws:iam::123456789012:role/attackers");
        victimsCredentials = ask(cluster.mint(victim)).body();
    }

    @AfterAll
    static void stop() {
        agent.close();
        cluster.close();
    }

    @BeforeEach
    void count() {
        cluster.eksAuth().resetCounts();
    }

    private static RawHttp.Answer ask(String token) throws IOException {
        return RawHttp.exchange(agent.port(), RawHttp.request(token));
    }

    /** Returns the kind of attack, the token, and the expected status, code and message. */
    static Stream<Arguments> forgeries() throws JoseException {
        String genuine = cluster.mint(victim);
        JsonObject claims = Cluster.claims(genuine);
        String keyId = ForgedTokens.header(genuine).getString("kid");
        String ecKeyId = ForgedTokens.header(cluster.mint(victim.withAlgorithm(Algorithm.ES256))).getString("kid");
        String published = cluster.eksAuth().tokens().jwks(Algorithm.RS256);
        String repeatedKeyId = "{\"alg\":\"RS256\",\"kid\":\"made-up\",\"kid\":\"" + keyId + "\"}";
        return Stream.of(
                forgery("the victim's claims under the attacker's signature",
                        ForgedTokens.withClaims(own, claims), 400, INVALID, NOT_SIGNED),
                forgery("the attacker's claims with the victim's pod",
                        ForgedTokens.withClaims(own, Cluster.claims(own)
                                .put("kubernetes.io", claims.getJsonObject("kubernetes.io"))), 400, INVALID, NOT_SIGNED),
                forgery("a longer life", ForgedTokens.withClaims(genuine, claims.copy().put("exp", claims.getLong("exp") + 1)),
                        400, INVALID, NOT_SIGNED),
                forgery("a key of one's own under the cluster's kid", forger.signed(genuine, keyId), 400, INVALID, NOT_SIGNED),
                forgery("a key of one's own in the header", forger.signedWithKeyInHeader(genuine), 400, INVALID, NOT_SIGNED),
                forgery("alg none without a signature", ForgedTokens.unsigned(genuine, "none", ""), 400, INVALID,
                        "The token has no signature"),
                forgery("alg none with a signature", ForgedTokens.unsigned(genuine, "none", "AAAA"), 400, INVALID,
                        "The token's alg is none"),
                forgery("alg nOnE", ForgedTokens.unsigned(genuine, "nOnE", "AAAA"), 400, INVALID, "The token's alg is none"),
                forgery("HS256 keyed with the published keys", ForgedTokens.keyedWith(genuine, published), 400, INVALID,
                        "The token's alg is an HMAC"),
                forgery("hs256", ForgedTokens.unsigned(genuine, "hs256", "AAAA"), 400, INVALID, "The token's alg is an HMAC"),
                forgery("an algorithm of another kind than the key's",
                        ForgedTokens.withHeader(genuine, ForgedTokens.header(genuine).put("alg", "ES256")), 400, INVALID,
                        "The token's alg is not one that its key may be used with"),
                forgery("the kid of another key",
                        ForgedTokens.withHeader(genuine, ForgedTokens.header(genuine).put("kid", ecKeyId)), 400, INVALID,
                        "The token's alg is not one that its key may be used with"),
                forgery("a kid that is there twice",
                        ForgedTokens.encode(repeatedKeyId) + genuine.substring(genuine.indexOf('.')), 400, INVALID,
                        "The token's header is not JSON"),
                forgery("another issuer", ForgedTokens.withClaims(genuine, claims.copy().put("iss", OTHER_ISSUER)), 400,
                        INVALID, NOT_SIGNED),
                forgery("another issuer under a key of one's own", forger.signed(cluster.mint(victim.withIssuer(OTHER_ISSUER)), keyId),
                        400, INVALID, NOT_SIGNED),
                forgery("another audience", cluster.mint(victim.withAudience("sts.amazonaws.com")), 400, INVALID,
                        "The token is not for the audience pods.eks.amazonaws.com"),
                forgery("not valid yet", cluster.mint(victim.withNotBefore(Instant.now().plus(Duration.ofHours(1)))), 400,
                        INVALID, "The token is not valid before"),
                forgery("expired",
                        cluster.mint(victim.withIssuedAt(Instant.now().minus(Duration.ofDays(2)))), 400,
                        "ExpiredTokenException", "The token expired at"));
    }

    private static Arguments forgery(String what, String token, int status, String code, String message) {
        return arguments(what, token, status, code, message);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("forgeries")
    void getsNothingAndReachesNobody(String what, String token, int status, String code, String message) throws IOException {
        // When
        RawHttp.Answer answer = ask(token);

        // Then
        assertThat(answer.status()).isEqualTo(status);
        JsonObject body = new JsonObject(answer.body());
        assertThat(body.getString("Code")).isEqualTo(code);
        assertThat(body.getString("Message")).startsWith(message);
        assertThat(cluster.eksAuth().calls()).isZero();
        assertThat(cluster.eksAuth().tokens().verify(token, Instant.now()))
                .as("EKS Auth would refuse it too")
                .isNotInstanceOf(TokenVerification.Verified.class);
        assertThat(ask(cluster.mint(victim)).body()).as("the victim's are as they were").isEqualTo(victimsCredentials);
    }

    /** The token is signed by the cluster and valid at EKS Auth, but stolen. */
    @Test
    void aTokenOfAPodOfAnotherNodeIsForbiddenHere() throws IOException {
        // Given
        double before = verdicts("other_node");
        String stolen = cluster.mint(victim.withNode("node-2"));

        // When
        RawHttp.Answer answer = ask(stolen);

        // Then
        assertThat(answer.status()).isEqualTo(403);
        assertThat(new JsonObject(answer.body()).getString("Message")).startsWith("The token belongs to a pod on another node");
        assertThat(cluster.eksAuth().calls()).isZero();
        assertThat(verdicts("other_node")).isEqualTo(before + 1);
        agent.awaitLine(line -> line.contains("A token of a pod on another node was presented")
                && line.contains("\"podNode\":\"node-2\"") && line.contains("\"pod\":\"victim\""));
    }

    /**
     * The API server may have a second issuer that signs with the same keys; only EKS Auth knows whether it accepts that
     * issuer.
     */
    @Test
    void aTokenOfAnotherIssuerUnderTheClustersKeyStandsForItselfAndEksAuthJudgesIt() throws IOException {
        // Given
        double before = verdicts("other_issuer");
        String token = cluster.mint(victim.withIssuer(OTHER_ISSUER));

        // When
        RawHttp.Answer answer = RawHttp.askAsSdk(agent.port(), token);

        // Then: this token gets none
        assertThat(answer.status()).isEqualTo(400);
        assertThat(new JsonObject(answer.body()).getString("Message")).startsWith("EKS Auth does not accept the token");
        assertThat(cluster.eksAuth().calls(token)).isOne();
        assertThat(verdicts("other_issuer")).isEqualTo(before + 1);
        assertThat(ask(cluster.mint(victim)).body()).as("the victim's are as they were").isEqualTo(victimsCredentials);
    }

    /** Other verifiers treat it as the same token; but then one token would have several cache keys. */
    @Test
    void anotherTextOfTheSameSignatureIsNoToken() throws IOException {
        RawHttp.Answer answer = ask(ForgedTokens.withSpareBits(cluster.mint(victim)));

        assertThat(answer.status()).isEqualTo(400);
        assertThat(new JsonObject(answer.body()).getString("Message")).startsWith("The token's signature is not base64url");
        assertThat(cluster.eksAuth().calls()).isZero();
    }

    @Test
    void forgeriesAreCounted() throws IOException {
        double before = verdicts("invalid");

        ask(ForgedTokens.withClaims(own, Cluster.claims(own).put("jti", "forged")));

        assertThat(verdicts("invalid")).isEqualTo(before + 1);
    }

    private static double verdicts(String verdict) {
        return agent.metric("pod_identity_token_verifications_total{verdict=\"" + verdict + "\",}");
    }

    @Test
    void theAttackersOwnTokenGetsTheAttackersOwnCredentials() throws IOException {
        RawHttp.Answer answer = RawHttp.askAsSdk(agent.port(), own);

        assertThat(new JsonObject(answer.body()).getString("Token")).contains("-attackers-attacker-");
    }
}
