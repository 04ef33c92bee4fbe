package dev.podidentity.agent;

import static io.restassured.RestAssured.given;
import static org.assertj.core.api.Assertions.assertThat;

import io.fabric8.kubernetes.api.model.NodeBuilder;
import io.fabric8.kubernetes.api.model.Taint;
import io.fabric8.kubernetes.api.model.TaintBuilder;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The node accepts no pods before the agent can serve them. */
class StartupTaintIT {

    private static final String KEY = "agent.example.com/not-ready";
    private static final String NODE = "/api/v1/nodes/" + Cluster.NODE;
    private static final Taint OURS = new TaintBuilder().withKey(KEY).withEffect("NoSchedule").build();
    private static final Taint OURS_TOO =
            new TaintBuilder().withKey("agent.example.com/starting").withEffect("NoExecute").withValue("yes").build();
    private static final Taint OTHER = new TaintBuilder()
            .withKey("node.kubernetes.io/not-ready")
            .withEffect("NoExecute")
            .withTimeAdded("2026-01-01T00:00:00Z")
            .build();

    @TempDir
    private Path directory;

    @TempDir
    private Path files;

    private Cluster cluster;

    @BeforeEach
    void start() throws IOException, InterruptedException {
        cluster = Cluster.start(directory);
    }

    @AfterEach
    void stop() {
        cluster.close();
    }

    private void createNode(Taint... taints) {
        cluster.api().client().nodes().resource(new NodeBuilder()
                        .withNewMetadata().withName(Cluster.NODE).endMetadata()
                        .withNewSpec().withTaints(taints).endSpec()
                        .build())
                .create();
    }

    private List<Taint> taints() {
        return cluster.api().client().nodes().withName(Cluster.NODE).get().getSpec().getTaints();
    }

    private static void awaitRemoved(AgentProcess agent) {
        agent.awaitLine(line -> line.contains("The startup taint was removed from this node"));
    }

    @Test
    void itStaysUntilTheAgentHasCredentialsOfItsOwn() throws IOException {
        // Given
        createNode(OTHER, OURS);
        Path credentials = files.resolve("credentials");
        Map<String, String> environment = Map.of("AWS_ACCESS_KEY_ID", "", "AWS_SECRET_ACCESS_KEY", "",
                "AWS_SHARED_CREDENTIALS_FILE", credentials.toString());

        try (AgentProcess agent = cluster.launch(
                environment, "--startup-taint", KEY, "--rotate-credentials", "--startup-grace", "0")) {
            agent.awaitLine(line -> line.contains("own AWS credentials cannot be found"));
            assertThat(RawHttp.exchange(agent.port(), RawHttp.request(cluster.token("pod-1"))).status()).isEqualTo(503);
            given().port(agent.port("probes")).get("/readyz").then().statusCode(503);
            assertThat(taints()).containsExactly(OTHER, OURS);
            assertThat(cluster.api().received("PATCH " + NODE)).isZero();
            assertThat(agent.metric("pod_identity_startup_taint_pending")).isOne();

            // When
            Files.writeString(credentials, """
                    [default]
                    aws_access_key_id = %s
                    aws_secret_access_key = %s
                    """.formatted(cluster.eksAuth().accessKeyId(), cluster.eksAuth().secretAccessKey()));
            awaitRemoved(agent);

            // Then
            given().port(agent.port("probes")).get("/readyz").then().statusCode(200);
            assertThat(taints()).containsExactly(OTHER);
            assertThat(agent.metric("pod_identity_startup_taint_pending")).isZero();
        }
    }

    @Test
    void itStaysUntilTheListenersAnswer() throws IOException {
        // Given
        createNode(OURS, OTHER);
        try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getByName(AgentProcess.LOOPBACK));
                AgentProcess agent = cluster.agent("--startup-taint", KEY, "--port",
                        Integer.toString(taken.getLocalPort()), "--bind-retry-interval", "100ms")) {
            agent.awaitLine(line -> line.contains("cannot be bound") && line.contains("in use"));
            assertThat(taints()).containsExactly(OURS, OTHER);
            assertThat(cluster.api().received("GET " + NODE)).isZero();

            // When
            taken.close();
            awaitRemoved(agent);

            // Then
            assertThat(taints()).containsExactly(OTHER);
            assertThat(RawHttp.askAsSdk(agent.port(), cluster.token("pod-1")).status()).isEqualTo(200);
        }
    }

    @Test
    void aKeyThatEndsInASlashStandsForAllThatBeginWithIt() {
        // Given
        createNode(OURS, OTHER, OURS_TOO);

        // When
        try (AgentProcess agent = cluster.agent("--startup-taint", "agent.example.com/")) {
            awaitRemoved(agent);
        }

        // Then
        assertThat(taints()).containsExactly(OTHER);
    }

    @Test
    void removingItIsRetried() {
        // Given
        createNode(OURS);
        cluster.api().answer(NODE, request -> {
            cluster.api().answerFromObjects(NODE);
            request.response().setStatusCode(500).end();
        });

        // When
        try (AgentProcess agent = cluster.agent("--startup-taint", KEY)) {
            awaitRemoved(agent);

            // Then
            assertThat(agent.lines("\"level\":\"warning\"", "The startup taint cannot be removed", "HTTP 500")).isOne();
        }
        assertThat(taints()).isEmpty();
    }

    @Test
    void anApiServerThatHasJustStartedLetsItBeRemovedWithinSeconds() {
        // Given: an API server that refuses everyone until it has read the roles
        createNode(OURS);
        cluster.api().answer(NODE, request -> {
            cluster.api().answerFromObjects(NODE);
            request.response().setStatusCode(403).end("{}");
        });

        // When
        try (AgentProcess agent = cluster.agent("--startup-taint", KEY)) {
            awaitRemoved(agent);

            // Then
            assertThat(agent.lines("The startup taint cannot be removed", "HTTP 403")).isZero();
        }
        assertThat(taints()).isEmpty();
    }

    @Test
    void aNodeThatIsNotThereIsAWrongName() {
        try (AgentProcess agent = cluster.agent("--startup-taint", KEY)) {
            agent.awaitLine(line -> line.contains("The startup taint cannot be removed") && line.contains("HTTP 404")
                    && line.contains("check that the environment variable NODE_NAME"));

            // When
            createNode(OURS);

            // Then
            awaitRemoved(agent);
        }
    }

    @Test
    void aNodeWithoutItIsLeftAlone() {
        // Given
        createNode(OTHER);

        // When
        try (AgentProcess agent = cluster.agent("--startup-taint", KEY)) {
            agent.awaitLine(line -> line.contains("There is no startup taint on this node"));
        }

        // Then
        assertThat(taints()).containsExactly(OTHER);
        assertThat(cluster.api().received("PATCH " + NODE)).isZero();
    }

    @Test
    void anApiServerThatIsAwayDelaysItAndNothingElse() throws IOException {
        // Given
        createNode(OURS);
        cluster.api().stop();

        try (AgentProcess agent = cluster.agent("--startup-taint", KEY)) {
            agent.awaitLine(line -> line.contains("The startup taint cannot be removed"));
            assertThat(RawHttp.askAsSdk(agent.port(), cluster.token("pod-1")).status()).isEqualTo(200);

            // When
            cluster.api().restart();

            // Then
            awaitRemoved(agent);
            assertThat(taints()).isEmpty();
        }
    }
}
