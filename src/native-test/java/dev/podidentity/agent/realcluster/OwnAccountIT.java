package dev.podidentity.agent.realcluster;

import static dev.podidentity.agent.realcluster.RealNode.ask;
import static dev.podidentity.agent.realcluster.RealNode.askUntil;
import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.AgentProcess;
import io.fabric8.kubernetes.api.model.Pod;
import java.io.IOException;
import java.nio.file.Files;
import java.time.Duration;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Tests replaced, expired and invalid tokens and CA certificates, which kubelet mounts into the agent's pod. */
@NeedsRealCluster
class OwnAccountIT {

    private static final String VERIFIED = "pod_identity_token_verifications_total{verdict=\"verified\",}";
    private static final String API_SERVER = "pod_identity_token_verifications_total{verdict=\"api_server\",}";
    private static final String AWAY = "The API server cannot review tokens";
    /** More than the minute after which the agent reads the files again. */
    private static final Duration READ_ANEW = Duration.ofSeconds(120);
    /** More than the time for which the API server still accepts an expired token: a minute, plus some seconds of caching. */
    private static final Duration EXPIRED = Duration.ofSeconds(150);

    private final RealCluster cluster;
    private final String namespace;

    OwnAccountIT(RealCluster cluster) {
        this.cluster = cluster;
        this.namespace = cluster.namespace();
    }

    private AgentProcess reviewingAgent(RealNode node) {
        AgentProcess agent = node.agent("--token-verification", "token-review", "--coalesce", "token", "--pod-watch");
        RealNode.awaitWatch(agent);
        node.awaitVerified(agent);
        return agent;
    }

    /** Returns whether the API server reviews tokens for the agent, determined with a new token. */
    private boolean reviews(RealNode node, AgentProcess agent) {
        double before = agent.metric(VERIFIED);
        Pod pod = node.pod(namespace, "pod-" + System.nanoTime());
        assertThat(ask(agent, cluster.token(pod)).status()).as("the pod is served regardless").isEqualTo(200);
        return agent.metric(VERIFIED) > before;
    }

    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void aTokenThatIsReplacedIsUsed() {
        RealNode node = cluster.node();
        try (AgentProcess agent = reviewingAgent(node)) {
            // Given
            String oldToken = node.agentToken();

            // When: the old token becomes invalid
            node.replaceAgentPod();
            node.mount("token", node.agentToken());
            Wait.until("the API server rejects the old token", () -> refused(oldToken));

            // Then
            Wait.until("the API server reviews tokens", () -> reviews(node, agent));
            assertThat(agent.lines("\"level\":\"warning\"", "(HTTP 401)")).isZero();
            Pod pod = node.pod(namespace, "mortal-" + System.nanoTime());
            String token = cluster.token(pod);
            ask(agent, token);
            cluster.forceDelete(pod);
            askUntil(403, agent, token);
        }
    }

    private boolean refused(String token) {
        return cluster.api().tryKubectl("--server=" + cluster.api().url(), "--kubeconfig=/dev/null",
                "--certificate-authority=" + cluster.api().authority(), "--token=" + token, "auth", "whoami").exitCode() != 0;
    }

    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void aTokenThatExpiresIsOneWarningUntilKubeletReplacesIt() {
        RealNode node = cluster.node().mount();
        node.mount("token", cluster.mint(cluster.claims(node.agentPod())
                .withAudience(RealCluster.ISSUER)
                .withLifetime(Duration.ofSeconds(15))));
        try (AgentProcess agent = reviewingAgent(node)) {
            // When
            Wait.until("the agent's token has expired", EXPIRED, () -> !reviews(node, agent));
            double unjudged = agent.metric(API_SERVER);
            Wait.until("EKS Auth verifies tokens instead", () -> !reviews(node, agent) && agent.metric(API_SERVER) > unjudged);

            // Then
            assertThat(agent.lines("\"level\":\"warning\"", AWAY, "HTTP 401")).isOne();

            // When
            node.mount("token", node.agentToken());

            // Then
            Wait.until("the API server reviews tokens", () -> reviews(node, agent));
            agent.awaitLine(line -> line.contains("The API server reviews tokens again"));
        }
    }

    @ParameterizedTest
    @Execution(ExecutionMode.CONCURRENT)
    @ValueSource(strings = {"made.up.token", "two words", "\n"})
    void aBadTokenTurnsOffWhatNeedsOneUntilThereIsAGoodOne(String content) {
        RealNode node = cluster.node().mount();
        node.mount("token", content);
        try (AgentProcess agent = node.agent("--token-verification", "token-review", "--coalesce", "token", "--pod-watch")) {
            // When
            assertThat(reviews(node, agent)).isFalse();
            agent.awaitLine(line -> line.contains("\"level\":\"warning\"") && line.contains(AWAY));

            // When
            node.mount("token", node.agentToken());

            // Then
            Wait.until("the API server reviews tokens", () -> reviews(node, agent));
            RealNode.awaitWatch(agent);
        }
    }

    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void anAccountThatIsNotMountedYetTurnsOffWhatNeedsOne() throws IOException {
        RealNode node = cluster.node();
        Files.createDirectories(node.serviceAccount());
        try (AgentProcess agent = node.agent("--token-verification", "token-review", "--coalesce", "token", "--pod-watch")) {
            // When
            assertThat(reviews(node, agent)).isFalse();
            agent.awaitLine(line -> line.contains("\"level\":\"warning\"") && line.contains("mount the service account's token"));

            // When
            node.mount();

            // Then
            Wait.until("the API server reviews tokens", () -> reviews(node, agent));
            RealNode.awaitWatch(agent);
        }
    }

    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void anAuthorityThatIsReplacedIsTrusted() throws IOException {
        try (RealCluster own = RealCluster.start(RealCluster.directory("authority"))) {
            RealNode node = own.node();
            try (AgentProcess agent = node.verifyingAgent()) {
                // Given
                Pod pod = node.pod(own.namespace(), "cart-1");
                String token = own.token(pod);
                String credentials = ask(agent, token).body();

                // When: the API server restarts with a certificate from another authority
                own.api().kill();
                for (String name : Stream.of("ca.crt", "server.crt", "server.key", "admin.crt", "admin.key").toList()) {
                    Files.delete(own.api().directory().resolve(name));
                }
                own.api().restart();

                // Then
                Wait.until("the agent does not trust the server", () -> agent.lines("\"level\":\"warning\"",
                        "The pods of this node cannot be watched", "ca.crt is the certificate authority of this cluster") == 1);
                assertThat(ask(agent, token).body()).isEqualTo(credentials);

                // When
                node.mount("ca.crt", Files.readString(own.api().authority()));

                // Then
                Wait.until("the agent watches the pods again", READ_ANEW, () -> agent.metric("pod_identity_pods_synced") == 1);
                assertThat(ask(agent, token).body()).isEqualTo(credentials);
                own.api().kubectl("delete", "pod", "--namespace", pod.getMetadata().getNamespace(), "cart-1", "--force",
                        "--grace-period=0");
                askUntil(403, agent, token);
            }
        }
    }
}
