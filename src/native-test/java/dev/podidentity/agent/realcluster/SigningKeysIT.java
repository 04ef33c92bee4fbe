package dev.podidentity.agent.realcluster;

import static dev.podidentity.agent.realcluster.RealNode.ask;
import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.AgentProcess;
import dev.podidentity.agent.ForgedTokens;
import dev.podidentity.emulator.TokenRequest.Algorithm;
import io.fabric8.kubernetes.api.model.Pod;
import io.vertx.core.json.JsonObject;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.jose4j.lang.JoseException;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Tests the API server's signing keys: rotation, withdrawal, another algorithm, and keys kept across a restart. */
@NeedsRealCluster
class SigningKeysIT {

    private static final String VERIFIED = "pod_identity_token_verifications_total{verdict=\"verified\",}";
    private static final String UNKNOWN_KEY = "pod_identity_token_verifications_total{verdict=\"unknown_key\",}";
    private static final String OTHER_ISSUER = "pod_identity_token_verifications_total{verdict=\"other_issuer\",}";
    private static final String NEW_ISSUER = "https://kubernetes.default.svc.cluster.local";

    private static RealCluster cluster;

    @TempDir
    private Path state;

    private RealNode node;
    private Pod pod;
    private Pod second;

    @BeforeAll
    static void start() {
        cluster = RealCluster.start(RealCluster.directory("keys"));
    }

    @AfterAll
    static void stop() {
        cluster.close();
    }

    @BeforeEach
    void prepare() {
        startSigning(Algorithm.RS256, Algorithm.RS256);
        node = cluster.node();
        String namespace = cluster.namespace();
        pod = node.pod(namespace, "cart-1");
        second = node.pod(namespace, "cart-2");
    }

    /** Restarts the API server with other keys. */
    private static void startSigning(Algorithm with, Algorithm... accepted) {
        cluster.api().kill();
        cluster.api().start(cluster.signing(with, accepted));
    }

    private static String keyId(String token) {
        return ForgedTokens.header(token).getString("kid");
    }

    @Test
    void aTokenUnderAKeyThatIsNewIsVerifiedAndSharesWithTheOldOnes() {
        try (AgentProcess agent = node.verifyingAgent()) {
            // Given
            String oldToken = cluster.token(pod);
            String credentials = ask(agent, oldToken).body();

            // When: the signing key changes from RS256 to ES256
            startSigning(Algorithm.ES256, Algorithm.ES256, Algorithm.RS256);
            String newToken = cluster.token(second);

            // Then
            assertThat(ForgedTokens.header(newToken).getString("alg")).isEqualTo("ES256");
            assertThat(keyId(newToken)).isNotEqualTo(keyId(oldToken));
            Wait.until("the agent knows the new key", () -> ask(agent, newToken).body().equals(credentials));
            assertThat(ask(agent, oldToken).body()).isEqualTo(credentials);
            assertThat(ask(agent, cluster.mint(cluster.claims(pod).withAlgorithm(Algorithm.RS256))).body())
                    .as("the old key is still published").isEqualTo(credentials);
        }
    }

    @Test
    void aTokenUnderAKeyThatIsWithdrawnSharesNothingAnyMore() throws JoseException {
        startSigning(Algorithm.ES256, Algorithm.ES256, Algorithm.RS256);
        try (AgentProcess agent = node.verifyingAgent()) {
            // Given
            String credentials = ask(agent, cluster.token(pod)).body();
            String old = cluster.mint(cluster.claims(second).withAlgorithm(Algorithm.RS256));
            assertThat(ask(agent, old).body()).isEqualTo(credentials);

            // When: a token with an unknown key makes the agent fetch the keys again
            startSigning(Algorithm.ES256, Algorithm.ES256);
            String unknown = new ForgedTokens().signed(old, "unknown");
            Wait.until("the agent no longer knows the key", () -> {
                ask(agent, unknown);
                double before = agent.metric(UNKNOWN_KEY);
                ask(agent, old);
                return agent.metric(UNKNOWN_KEY) > before;
            });

            // Then: the token is left to EKS Auth to verify
            String its = ask(agent, cluster.mint(cluster.claims(second).withAlgorithm(Algorithm.RS256))).body();
            assertThat(new JsonObject(its).getString("AccessKeyId")).isNotNull();
            assertThat(its).isNotEqualTo(credentials);
            assertThat(ask(agent, cluster.token(pod)).body()).isEqualTo(credentials);
        }
    }

    /** During a change of issuers, the API server signs for both with the same key. */
    @Test
    void aTokenOfASecondIssuerStandsForItselfAndEksAuthJudgesIt() {
        try (AgentProcess agent = node.verifyingAgent()) {
            // Given
            String oldToken = cluster.token(pod);
            String credentials = ask(agent, oldToken).body();
            List<String> flags = new ArrayList<>(List.of(cluster.signing(Algorithm.RS256, Algorithm.RS256)));
            flags.add(0, "--service-account-issuer=" + NEW_ISSUER);

            // When
            cluster.api().kill();
            cluster.api().start(flags.toArray(String[]::new));
            String newToken = cluster.token(second);
            double before = agent.metric(OTHER_ISSUER);

            // Then: the emulated EKS Auth accepts only the first issuer
            assertThat(ask(agent, newToken).status()).isEqualTo(400);
            assertThat(agent.metric(OTHER_ISSUER)).isGreaterThan(before);
            assertThat(cluster.eksAuth().calls(newToken)).isOne();
            assertThat(ask(agent, oldToken).body()).isEqualTo(credentials);
        }
    }

    @Test
    void aRestartWithoutTheApiServerVerifiesWithTheKeysThatWereKept() {
        // Given
        Path file = state.resolve("keys.json");
        try (AgentProcess first = node.verifyingAgent("--keys-file", file.toString())) {
            Wait.until("the agent has saved the keys", () -> Files.exists(file));
        }
        String token = cluster.token(pod);
        String secondToken = cluster.token(second);
        cluster.api().kill();

        // When
        try (AgentProcess agent = node.agent("--token-verification", "jwks", "--pod-watch", "--keys-file", file.toString())) {
            Wait.until("the agent verifies tokens", () -> {
                double before = agent.metric(VERIFIED);
                ask(agent, token);
                return agent.metric(VERIFIED) > before;
            });

            // Then
            assertThat(ask(agent, secondToken).body()).isEqualTo(ask(agent, token).body());
            assertThat(ask(agent, ForgedTokens.withClaims(token, new JsonObject().put("sub", "forged"))).status()).isEqualTo(400);
        }
    }

    @Test
    void aStartWithoutTheApiServerServesEachTokenForItselfUntilItIsThere() {
        // Given
        node.mount();
        String token = cluster.token(pod);
        String secondToken = cluster.token(second);
        cluster.api().kill();

        try (AgentProcess agent = node.agent("--token-verification", "jwks", "--pod-watch")) {
            // Then
            assertThat(ask(agent, token).status()).isEqualTo(200);
            assertThat(ask(agent, secondToken).body()).isNotEqualTo(ask(agent, token).body());

            // When
            cluster.api().restart();

            // Then
            RealNode.awaitWatch(agent);
            Wait.until("the agent verifies tokens", Duration.ofSeconds(90), () -> {
                double before = agent.metric(VERIFIED);
                ask(agent, cluster.token(pod));
                return agent.metric(VERIFIED) > before;
            });
            String shared = ask(agent, cluster.token(pod)).body();
            assertThat(ask(agent, cluster.token(second)).body()).isEqualTo(shared);
        }
    }
}
