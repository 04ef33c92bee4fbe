package dev.podidentity.agent.realcluster;

import static dev.podidentity.agent.realcluster.RealNode.ask;
import static dev.podidentity.agent.realcluster.RealNode.askUntil;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import dev.podidentity.agent.AgentProcess;
import dev.podidentity.agent.ForgedTokens;
import dev.podidentity.agent.RawHttp.Answer;
import io.fabric8.kubernetes.api.model.Pod;
import io.vertx.core.json.JsonObject;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.Base64;
import java.util.stream.Stream;
import org.jose4j.lang.JoseException;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.AfterParameterizedClassInvocation;
import org.junit.jupiter.params.BeforeParameterizedClassInvocation;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Who gets credentials, and whose, in each scope and with each way to verify tokens. */
@NeedsRealCluster
@ParameterizedClass(name = "{0}, shared by {1}")
@MethodSource("ways")
class ScopesIT {

    private static RealCluster cluster;
    private static RealNode node;
    private static AgentProcess agent;

    @Parameter(0)
    private String verification;

    @Parameter(1)
    private String scope;

    /** In which the test makes its pods. */
    private String namespace;

    static Stream<Arguments> ways() {
        return Stream.of("jwks", "token-review").flatMap(verification ->
                Stream.of("token", "pod", "role").map(scope -> arguments(verification, scope)));
    }

    @BeforeParameterizedClassInvocation
    static void start(String verification, String scope, RealCluster shared) {
        cluster = shared;
        node = cluster.node();
        agent = node.agent("--token-verification", verification, "--coalesce", scope, "--pod-watch");
        RealNode.awaitWatch(agent);
        node.awaitVerified(agent);
    }

    @AfterParameterizedClassInvocation
    static void stop() {
        agent.close();
    }

    @BeforeEach
    void prepare() {
        namespace = cluster.namespace();
        cluster.eksAuth().resetCounts();
    }

    private Pod pod(String name) {
        return node.pod(namespace, name);
    }

    private static void assertRefused(Answer answer, int status, String message) {
        assertThat(answer.status()).as(answer.body()).isEqualTo(status);
        assertThat(new JsonObject(answer.body()).getString("Message")).startsWith(message);
        assertThat(cluster.eksAuth().calls()).isZero();
    }

    private String notSigned() {
        return verification.equals("jwks")
                ? "The token's signature is not the cluster's"
                : "The API server does not accept the token";
    }

    private static JsonObject claims(String token) {
        return new JsonObject(new String(Base64.getUrlDecoder().decode(token.split("\\.")[1]), StandardCharsets.UTF_8));
    }

    @Test
    void podsOfAServiceAccountShareWithTheRoleAlone() {
        // When
        Answer first = ask(agent, cluster.token(pod("cart-1")));
        Answer second = ask(agent, cluster.token(pod("cart-2")));

        // Then
        assertThat(first.status()).isEqualTo(200);
        assertThat(second.status()).isEqualTo(200);
        assertThat(second.body().equals(first.body())).isEqualTo(scope.equals("role"));
        assertThat(cluster.eksAuth().calls()).isEqualTo(scope.equals("role") ? 1 : 2);
    }

    @Test
    void aRotatedTokenFindsWhatItsPodHasButByTokens() {
        // Given
        Pod pod = pod("cart-1");
        String token = cluster.token(pod);
        Answer before = ask(agent, token);

        // When
        Answer after = ask(agent, cluster.token(pod));

        // Then
        assertThat(after.status()).isEqualTo(200);
        assertThat(after.body().equals(before.body())).isEqualTo(!scope.equals("token"));
        assertThat(ask(agent, token).body()).as("the old one is good until it expires").isEqualTo(before.body());
    }

    @Test
    void aTokenOfAPodOfAnotherNodeIsForbidden() {
        RealNode other = cluster.node();

        assertRefused(ask(agent, cluster.token(other.pod(namespace, "cart-1"))), 403, "The token is of a pod of another node");
    }

    @Test
    void aTokenForAnotherAudienceIsRefused() {
        assertRefused(ask(agent, cluster.token(pod("cart-1"), "sts.amazonaws.com")), 400,
                "The token is not for the audience pods.eks.amazonaws.com");
    }

    @Test
    void aTokenUnderAKeyOfOnesOwnIsRefused() throws JoseException {
        // Given
        String genuine = cluster.token(pod("cart-1"));

        // When
        Answer answer = ask(agent, new ForgedTokens().signed(genuine, ForgedTokens.header(genuine).getString("kid")));

        // Then
        assertRefused(answer, 400, notSigned());
    }

    @Test
    void aTokenWithChangedClaimsIsRefused() {
        // Given
        String genuine = cluster.token(pod("cart-1"));
        JsonObject changed = claims(genuine).put("exp", claims(genuine).getLong("exp") + 1);

        // Then
        assertRefused(ask(agent, ForgedTokens.withClaims(genuine, changed)), 400, notSigned());
    }

    @Test
    void aTokenWithoutASignatureIsRefused() {
        String genuine = cluster.token(pod("cart-1"));

        assertRefused(ask(agent, ForgedTokens.unsigned(genuine, "none", "")), 400, "The token has no signature");
        assertRefused(ask(agent, ForgedTokens.unsigned(genuine, "none", "AAAA")), 400, "The token's alg is none");
    }

    @Test
    void anExpiredTokenIsRefused() {
        String expired = cluster.mint(cluster.claims(pod("cart-1"))
                .withIssuedAt(Instant.now().minus(Duration.ofHours(25))));

        assertRefused(ask(agent, expired), 400, "The token expired at");
    }

    /** So that the test above fails for its reason: the API server and EKS Auth accept what is minted here. */
    @Test
    void aTokenMintedWithTheApiServersKeyIsGood() {
        assertThat(ask(agent, cluster.mint(cluster.claims(pod("cart-1")))).status()).isEqualTo(200);
    }

    @Test
    void aTokenThatIsBoundToNoPodStandsForItselfAndEksAuthRefusesIt() {
        // Given
        double before = agent.metric("pod_identity_token_verifications_total{verdict=\"no_pod\",}");

        // When
        Answer answer = ask(agent, cluster.unboundToken(namespace, RealCluster.SERVICE_ACCOUNT));

        // Then
        assertThat(answer.status()).isEqualTo(400);
        assertThat(cluster.eksAuth().calls()).isOne();
        assertThat(agent.metric("pod_identity_token_verifications_total{verdict=\"no_pod\",}")).isGreaterThan(before);
    }

    @Test
    void aServiceAccountThatIsMadeAgainSharesNothingWithTheOldOne() {
        // Given
        String ofTheOldOne = cluster.token(pod("cart-1"));
        Answer beforeAll = ask(agent, cluster.token(pod("cart-2")));
        cluster.administrator().serviceAccounts().inNamespace(namespace).withName(RealCluster.SERVICE_ACCOUNT).delete();
        cluster.createServiceAccount(namespace, RealCluster.SERVICE_ACCOUNT);

        // When: the authenticator of the API server may remember the old one for some seconds
        Answer young = Wait.until("the new one's token is good",
                () -> ask(agent, cluster.token(pod("cart-" + System.nanoTime()))), answer -> answer.status() == 200);
        Answer old = ask(agent, ofTheOldOne);

        // Then
        assertThat(beforeAll.status()).isEqualTo(200);
        assertThat(young.body()).isNotEqualTo(beforeAll.body());
        if (verification.equals("jwks")) {
            assertThat(old.status()).as("its signature is good, and EKS Auth takes it").isEqualTo(200);
            assertThat(old.body()).isNotEqualTo(young.body());
        } else {
            assertThat(old.status()).isEqualTo(400);
        }
    }

    @Test
    void aPodOfTheSameNameWithAnotherUidIsAnother() {
        // Given
        Pod old = pod("cart-1");
        String oldToken = cluster.token(old);
        Answer before = ask(agent, oldToken);

        // When
        cluster.forceDelete(old);
        String youngToken = cluster.token(pod("cart-1"));
        Answer forbidden = askUntil(403, agent, oldToken);
        Answer young = ask(agent, youngToken);

        // Then
        assertThat(new JsonObject(forbidden.body()).getString("Message")).startsWith("The token's pod is gone from this node");
        assertThat(young.status()).isEqualTo(200);
        assertThat(young.body()).isNotEqualTo(before.body());
    }

    @Test
    void aPodThatIsDeletedByForceLosesItsCredentials() {
        // Given
        Pod pod = pod("cart-1");
        String token = cluster.token(pod);
        assertThat(ask(agent, token).status()).isEqualTo(200);
        double entries = agent.metric("pod_identity_cache_entries");

        // When
        cluster.forceDelete(pod);

        // Then
        askUntil(403, agent, token);
        assertThat(agent.metric("pod_identity_cache_entries")).isEqualTo(entries - 1);
        assertThat(cluster.eksAuth().calls()).isOne();
    }

    @Test
    void aPodThatHasSucceededLosesItsCredentials() {
        assertLosesThem("Succeeded");
    }

    @Test
    void aPodThatHasFailedLosesItsCredentials() {
        assertLosesThem("Failed");
    }

    private void assertLosesThem(String phase) {
        // Given
        Pod pod = pod("cart-1");
        String token = cluster.token(pod);
        assertThat(ask(agent, token).status()).isEqualTo(200);

        // When
        cluster.phase(pod, phase);

        // Then
        askUntil(403, agent, token);
    }

    @Test
    void aPodThatHasTimeToTerminateKeepsItsCredentials() {
        // Given
        Pod pod = pod("cart-1");
        String token = cluster.token(pod);
        Answer before = ask(agent, token);

        // When: nobody but a kubelet ends it
        cluster.administrator().pods().resource(pod).withGracePeriod(30).delete();
        // What the agent hears after that has told it of that.
        Pod later = pod("cart-2");
        String laterToken = cluster.token(later);
        ask(agent, laterToken);
        cluster.forceDelete(later);
        askUntil(403, agent, laterToken);

        // Then
        assertThat(cluster.administrator().pods().resource(pod).get().getMetadata().getDeletionTimestamp()).isNotNull();
        assertThat(ask(agent, token).body()).isEqualTo(before.body());
    }
}
