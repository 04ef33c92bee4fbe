package dev.podidentity.agent.realcluster;

import static dev.podidentity.agent.realcluster.RealNode.ask;
import static dev.podidentity.agent.realcluster.RealNode.askUntil;
import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.AgentProcess;
import dev.podidentity.agent.ForgedTokens;
import dev.podidentity.agent.RawHttp.Answer;
import io.fabric8.kubernetes.api.model.Pod;
import io.vertx.core.json.JsonObject;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.stream.Stream;
import org.jose4j.lang.JoseException;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Tests which tokens get which credentials, for each scope of coalescing and each method of token verification. */
@NeedsRealCluster
class ScopesIT {

    private static final List<Way> WAYS = new ArrayList<>();

    private static RealCluster cluster;

    /** The verification method of the current configuration. */
    private String verification;

    private String scope;
    private RealNode node;
    private AgentProcess agent;
    /** The namespace of the test's pods. */
    private String namespace;

    /** A configuration of the agent, and the agent that runs with it. */
    private record Way(String verification, String scope, RealNode node, AgentProcess agent) {

        static Way start(String verification, String scope) {
            RealNode node = cluster.node();
            AgentProcess agent = node.agent("--token-verification", verification, "--coalesce", scope, "--pod-watch");
            RealNode.awaitWatch(agent);
            node.awaitVerified(agent);
            return new Way(verification, scope, node, agent);
        }

        @Override
        public String toString() {
            return verification + ", shared by " + scope;
        }
    }

    /** Marks a test that runs once per configuration. */
    @Target(ElementType.METHOD)
    @Retention(RetentionPolicy.RUNTIME)
    @ParameterizedTest(name = "{0}")
    @MethodSource("ways")
    private @interface InEachWay {}

    static Stream<Way> ways() {
        return WAYS.stream();
    }

    @BeforeAll
    static void start(RealCluster shared) {
        cluster = shared;
        for (String verification : List.of("jwks", "token-review")) {
            for (String scope : List.of("token", "pod", "role")) {
                WAYS.add(Way.start(verification, scope));
            }
        }
    }

    @AfterAll
    static void stop() {
        WAYS.forEach(way -> way.agent().close());
        WAYS.clear();
    }

    private void use(Way way) {
        verification = way.verification();
        scope = way.scope();
        node = way.node();
        agent = way.agent();
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

    @InEachWay
    void podsOfAServiceAccountShareWithTheRoleAlone(Way way) {
        use(way);

        // When
        Answer first = ask(agent, cluster.token(pod("cart-1")));
        Answer second = ask(agent, cluster.token(pod("cart-2")));

        // Then
        assertThat(first.status()).isEqualTo(200);
        assertThat(second.status()).isEqualTo(200);
        assertThat(second.body().equals(first.body())).isEqualTo(scope.equals("role"));
        assertThat(cluster.eksAuth().calls()).isEqualTo(scope.equals("role") ? 1 : 2);
    }

    @InEachWay
    void aRotatedTokenFindsWhatItsPodHasButByTokens(Way way) {
        use(way);

        // Given
        Pod pod = pod("cart-1");
        String token = cluster.token(pod);
        Answer before = ask(agent, token);

        // When
        Answer after = ask(agent, cluster.token(pod));

        // Then
        assertThat(after.status()).isEqualTo(200);
        assertThat(after.body().equals(before.body())).isEqualTo(!scope.equals("token"));
        assertThat(ask(agent, token).body()).as("the old token is valid until it expires").isEqualTo(before.body());
    }

    @InEachWay
    void aTokenOfAPodOfAnotherNodeIsForbidden(Way way) {
        use(way);

        RealNode other = cluster.node();

        assertRefused(ask(agent, cluster.token(other.pod(namespace, "cart-1"))), 403, "The token belongs to a pod on another node");
    }

    @InEachWay
    void aTokenForAnotherAudienceIsRefused(Way way) {
        use(way);

        assertRefused(ask(agent, cluster.token(pod("cart-1"), "sts.amazonaws.com")), 400,
                "The token is not for the audience pods.eks.amazonaws.com");
    }

    @InEachWay
    void aTokenUnderAKeyOfOnesOwnIsRefused(Way way) throws JoseException {
        use(way);

        // Given
        String genuine = cluster.token(pod("cart-1"));

        // When
        Answer answer = ask(agent, new ForgedTokens().signed(genuine, ForgedTokens.header(genuine).getString("kid")));

        // Then
        assertRefused(answer, 400, notSigned());
    }

    @InEachWay
    void aTokenWithChangedClaimsIsRefused(Way way) {
        use(way);

        // Given
        String genuine = cluster.token(pod("cart-1"));
        JsonObject changed = claims(genuine).put("exp", claims(genuine).getLong("exp") + 1);

        // Then
        assertRefused(ask(agent, ForgedTokens.withClaims(genuine, changed)), 400, notSigned());
    }

    @InEachWay
    void aTokenWithoutASignatureIsRefused(Way way) {
        use(way);

        String genuine = cluster.token(pod("cart-1"));

        assertRefused(ask(agent, ForgedTokens.unsigned(genuine, "none", "")), 400, "The token has no signature");
        assertRefused(ask(agent, ForgedTokens.unsigned(genuine, "none", "AAAA")), 400, "The token's alg is none");
    }

    @InEachWay
    void anExpiredTokenIsRefused(Way way) {
        use(way);

        String expired = cluster.mint(cluster.claims(pod("cart-1"))
                .withIssuedAt(Instant.now().minus(Duration.ofHours(25))));

        assertRefused(ask(agent, expired), 400, "The token expired at");
    }

    /** Proves that the test above rejects tokens for the right reason: the API server and EKS Auth accept tokens minted here. */
    @InEachWay
    void aTokenMintedWithTheApiServersKeyIsGood(Way way) {
        use(way);

        assertThat(ask(agent, cluster.mint(cluster.claims(pod("cart-1")))).status()).isEqualTo(200);
    }

    @InEachWay
    void aTokenThatIsBoundToNoPodStandsForItselfAndEksAuthRefusesIt(Way way) {
        use(way);

        // Given
        double before = agent.metric("pod_identity_token_verifications_total{verdict=\"no_pod\",}");

        // When
        Answer answer = ask(agent, cluster.unboundToken(namespace, RealCluster.SERVICE_ACCOUNT));

        // Then
        assertThat(answer.status()).isEqualTo(400);
        assertThat(cluster.eksAuth().calls()).isOne();
        assertThat(agent.metric("pod_identity_token_verifications_total{verdict=\"no_pod\",}")).isGreaterThan(before);
    }

    @InEachWay
    void aServiceAccountThatIsMadeAgainSharesNothingWithTheOldOne(Way way) {
        use(way);

        // Given
        String ofTheOldOne = cluster.token(pod("cart-1"));
        Answer beforeAll = ask(agent, cluster.token(pod("cart-2")));
        cluster.administrator().serviceAccounts().inNamespace(namespace).withName(RealCluster.SERVICE_ACCOUNT).delete();
        cluster.createServiceAccount(namespace, RealCluster.SERVICE_ACCOUNT);

        // When: the API server's authenticator may cache the old service account for some seconds
        Answer young = Wait.until("the new service account's token is accepted",
                () -> ask(agent, cluster.token(pod("cart-" + System.nanoTime()))), answer -> answer.status() == 200);
        Answer old = ask(agent, ofTheOldOne);

        // Then
        assertThat(beforeAll.status()).isEqualTo(200);
        assertThat(young.body()).isNotEqualTo(beforeAll.body());
        if (verification.equals("jwks")) {
            assertThat(old.status()).as("its signature is valid, and EKS Auth accepts it").isEqualTo(200);
            assertThat(old.body()).isNotEqualTo(young.body());
        } else {
            assertThat(old.status()).isEqualTo(400);
        }
    }

    @InEachWay
    void aPodOfTheSameNameWithAnotherUidIsAnother(Way way) {
        use(way);

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
        assertThat(new JsonObject(forbidden.body()).getString("Message")).startsWith("The token's pod no longer exists on this node");
        assertThat(young.status()).isEqualTo(200);
        assertThat(young.body()).isNotEqualTo(before.body());
    }

    @InEachWay
    void aPodThatIsDeletedByForceLosesItsCredentials(Way way) {
        use(way);

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

    @InEachWay
    void aPodThatHasSucceededLosesItsCredentials(Way way) {
        use(way);

        assertLosesThem("Succeeded");
    }

    @InEachWay
    void aPodThatHasFailedLosesItsCredentials(Way way) {
        use(way);

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

    @InEachWay
    void aPodThatHasTimeToTerminateKeepsItsCredentials(Way way) {
        use(way);

        // Given
        Pod pod = pod("cart-1");
        String token = cluster.token(pod);
        Answer before = ask(agent, token);

        // When: the pod is terminating until a kubelet ends it
        cluster.administrator().pods().resource(pod).withGracePeriod(30).delete();
        // Once the agent knows of this later deletion, it also knows of the earlier change.
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
