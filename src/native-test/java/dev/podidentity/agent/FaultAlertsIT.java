package dev.podidentity.agent;

import static dev.podidentity.agent.RawHttp.request;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.podidentity.agent.prometheus.PrometheusServer;
import dev.podidentity.agent.testing.AlertRules;
import dev.podidentity.emulator.EksAuthEmulator;
import dev.podidentity.emulator.Fault;
import dev.podidentity.emulator.TokenRequest.Algorithm;
import io.fabric8.kubernetes.api.model.NodeBuilder;
import io.fabric8.kubernetes.api.model.TaintBuilder;
import io.vertx.core.Vertx;
import io.vertx.core.http.HttpServer;
import io.vertx.core.http.HttpServerRequest;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * The alerts that {@link PrometheusIT} does not cover, with a real Prometheus and live agents whose faults are real: each fires
 * and clears. Ranges and hold times are cut to seconds, and thresholds that would take hours or gigabytes are lowered. Only the
 * series of kube-state-metrics are made up. PodIdentityDirectMemoryFull is missing: the agent's budgets keep these connections
 * from using any direct memory to speak of, so only {@code AlertRulesTest} covers it.
 */
@Timeout(600)
class FaultAlertsIT {

    private static final String TAINT = "pods.eks.amazonaws.com/agent-not-ready";
    private static final String CLUSTER = "cluster-1";
    private static final String MEMORY = "memory-1";
    private static final String SHARED = "shared-1";
    private static final String LOG = "log-1";
    private static final String CREDENTIALS = "credentials-1";
    private static final String SUBJECT = "subject-1";
    private static final Map<String, String> SHORTENED = Map.of(
            "[5m]", "[15s]", "[15m]", "[15s]", "[30m]", "[20s]", "[1h]", "[30s]",
            "pod_identity_keys_age_seconds > 3600", "pod_identity_keys_age_seconds > 25",
            "pod_identity_heap_max_bytes > 0.9", "pod_identity_heap_max_bytes > 0.14");
    private static final String KUBE_STATE = """
            kube_daemonset_status_desired_number_scheduled{namespace="kube-system",daemonset="eks-pod-identity-agent"} 3
            kube_daemonset_status_number_ready{namespace="kube-system",daemonset="eks-pod-identity-agent"} %d
            kube_pod_container_status_restarts_total{namespace="kube-system",pod="a",container="eks-pod-identity-agent"} %d
            kube_pod_container_status_last_terminated_reason{namespace="kube-system",pod="a",container="eks-pod-identity-agent",reason="OOMKilled"} 1
            """;

    @TempDir
    private static Path directory;

    private static final ScheduledExecutorService TRAFFIC = Executors.newScheduledThreadPool(2);
    private static final Map<String, Integer> METRICS = new LinkedHashMap<>();
    private static EksAuthEmulator eksAuth;
    private static PrometheusServer prometheus;

    @BeforeAll
    static void start() throws IOException {
        assumeTrue(AlertRules.installed("prometheus"), "prometheus is not installed (apt-get install prometheus)");
        assumeTrue(System.getProperty("agent.executable") != null, "needs the native executable, whose memory the rules are for");
        eksAuth = Emulators.start();
        List<String> nodes = List.of(CLUSTER, MEMORY, SHARED, LOG, CREDENTIALS, SUBJECT);
        List<Integer> ports = FreePorts.take(nodes.size());
        for (int i = 0; i < nodes.size(); i++) {
            METRICS.put(nodes.get(i), ports.get(i));
        }
        prometheus = PrometheusServer.start(Files.createDirectory(directory.resolve("prometheus")),
                AlertRules.read().with(FaultAlertsIT::shortened, "2s"), METRICS, KUBE_STATE.formatted(3, 1));
    }

    private static String shortened(String expression) {
        String shortened = expression;
        for (Map.Entry<String, String> each : SHORTENED.entrySet()) {
            shortened = shortened.replace(each.getKey(), each.getValue());
        }
        return shortened;
    }

    @AfterAll
    static void stop() {
        TRAFFIC.shutdownNow();
        if (prometheus != null) {
            prometheus.close();
            eksAuth.close();
        }
    }

    @Test
    void alertsWhileTheApiServerCannotBeReached() throws IOException, InterruptedException {
        // Given
        try (Cluster cluster = Cluster.start(Files.createDirectory(directory.resolve("cluster")))) {
            cluster.publish(Algorithm.RS256);
            cluster.api().client().nodes().resource(new NodeBuilder()
                            .withNewMetadata().withName(Cluster.NODE).endMetadata()
                            .withNewSpec()
                            .withTaints(new TaintBuilder().withKey(TAINT).withEffect("NoSchedule").build())
                            .endSpec()
                            .build())
                    .create();
            cluster.api().stop();
            try (AgentProcess agent = cluster.launch(Map.of(), "--token-verification", "jwks", "--pod-watch", "--startup-taint", TAINT,
                    "--metrics-port", METRICS.get(CLUSTER).toString())) {
                // Then
                prometheus.awaitFiring("PodIdentityKeysMissing", CLUSTER);
                prometheus.awaitFiring("PodIdentityPodsNotSynced", CLUSTER);
                prometheus.awaitFiring("PodIdentityStartupTaintPending", CLUSTER);

                // When
                ScheduledFuture<?> unknownKeys = TRAFFIC.scheduleWithFixedDelay(
                        () -> ask(agent, cluster.mint(cluster.request("pod-1").withAlgorithm(Algorithm.ES256))), 0, 2, TimeUnit.SECONDS);
                cluster.api().restart();
                // Then
                prometheus.awaitCleared("PodIdentityKeysMissing", CLUSTER);
                prometheus.awaitCleared("PodIdentityPodsNotSynced", CLUSTER);
                prometheus.awaitCleared("PodIdentityStartupTaintPending", CLUSTER);

                // When: tokens of unknown keys cause no fetches any more
                cluster.api().stop();
                prometheus.awaitFiring("PodIdentityKeysOld", CLUSTER);
                cluster.api().restart();
                // Then
                prometheus.awaitCleared("PodIdentityKeysOld", CLUSTER);
                unknownKeys.cancel(false);
            }
        }
    }

    @Test
    void alertsWhileHostileConnectionsFillTheMemory() throws IOException {
        try (AgentProcess agent = agent(MEMORY, Map.of(), "--port", "0")) {
            agent.awaitLine(line -> line.contains("\"msg\":\"Listening\",\"listener\":\"credentials\""));
            String token = Emulators.token(eksAuth, "pod-of-" + MEMORY);
            RawHttp.askAsSdk(agent.port(), token);

            // When
            try (HostileConnections connections = new HostileConnections()) {
                connections.readNoAnswers(agent.port(), 200, token, "127.0.0.2", "127.0.0.3");
                connections.finishNoHeads(agent.port(), 100, "127.0.0.4", "127.0.0.5");
                // Then
                prometheus.awaitFiring("PodIdentityHeapFull", MEMORY);
            }

            // Then
            prometheus.awaitCleared("PodIdentityHeapFull", MEMORY);
        }
    }

    @Test
    void alertsWhileAnotherProcessListensOnTheSamePort() throws IOException {
        String port = String.valueOf(FreePorts.take(1).get(0));
        try (AgentProcess first = agent(SHARED, Map.of(), "--port", port)) {
            first.awaitLine(line -> line.contains("\"msg\":\"Listening\",\"listener\":\"credentials\""));

            // When
            try (AgentProcess second = AgentProcess.run(AgentProcess.environment(eksAuth), arguments("0", "--port", port))) {
                second.awaitLine(line -> line.contains("\"msg\":\"Listening\",\"listener\":\"credentials\""));
                // Then
                prometheus.awaitFiring("PodIdentityListenerShared", SHARED);
            }

            // Then
            prometheus.awaitCleared("PodIdentityListenerShared", SHARED);
        }
    }

    @Test
    void alertsWhileNobodyReadsTheLog() throws IOException, InterruptedException {
        // Given: a process whose output is not read
        int port = FreePorts.take(1).get(0);
        List<String> command = new ArrayList<>(AgentProcess.command());
        command.addAll(List.of(arguments(METRICS.get(LOG).toString(), "--port", String.valueOf(port), "--verbosity", "trace",
                "--source-requests-per-second", "0")));
        ProcessBuilder builder = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD);
        builder.environment().clear();
        builder.environment().putAll(AgentProcess.environment(eksAuth));
        Process agent = builder.start();
        try {
            prometheus.awaitScraped(LOG);
            String token = Emulators.token(eksAuth, "pod-of-" + LOG);

            // When
            try (RawHttp http = new RawHttp(port)) {
                for (int i = 0; i < 8_000; i++) {
                    http.send(request(token)).answer();
                }
            }

            // Then
            prometheus.awaitFiring("PodIdentityLogLinesDropped", LOG);
            prometheus.awaitCleared("PodIdentityLogLinesDropped", LOG);
        } finally {
            agent.destroyForcibly().waitFor();
        }
    }

    @Test
    void alertsWhileTheAgentsOwnCredentialsAreNotReplaced() {
        // Given
        Vertx vertx = Vertx.vertx();
        Instant[] expiration = {Instant.now().plus(Duration.ofMinutes(5))};
        HttpServer imds = vertx.createHttpServer().requestHandler(request -> imds(request, expiration[0]))
                .listen(0, AgentProcess.LOOPBACK).toCompletionStage().toCompletableFuture().join();
        Map<String, String> environment = Map.of("AWS_REGION", eksAuth.region(),
                "AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://" + AgentProcess.LOOPBACK + ":" + imds.actualPort());
        try (AgentProcess agent = AgentProcess.run(environment, arguments(METRICS.get(CREDENTIALS).toString(), "--port", "0"))) {
            agent.awaitLine(line -> line.contains("own AWS credentials were found"));
            // Then
            prometheus.awaitFiring("PodIdentityAgentCredentialsExpire", CREDENTIALS);

            // When
            expiration[0] = Instant.now().plus(Duration.ofHours(6));
            // Then
            prometheus.awaitCleared("PodIdentityAgentCredentialsExpire", CREDENTIALS);
        } finally {
            vertx.close().toCompletionStage().toCompletableFuture().join();
        }
    }

    private static void imds(HttpServerRequest request, Instant expiration) {
        switch (request.path()) {
            case "/latest/api/token" -> request.response().putHeader("x-aws-ec2-metadata-token-ttl-seconds", "21600").end("imds-token");
            case "/latest/meta-data/iam/security-credentials/" -> request.response().end("node-role");
            case "/latest/meta-data/iam/security-credentials/node-role" -> request.response().end("""
                    {"Code":"Success","Type":"AWS-HMAC","AccessKeyId":"%s","SecretAccessKey":"%s","Token":"%s",
                     "LastUpdated":"2024-01-01T00:00:00Z","Expiration":"%s"}
                    """.formatted(eksAuth.accessKeyId(), eksAuth.secretAccessKey(), "session", expiration));
            default -> request.response().setStatusCode(404).end();
        }
    }

    @Test
    void alertsWhenEksAuthReturnsCredentialsOfAnotherServiceAccount() {
        eksAuth.associate(Emulators.NAMESPACE, "other", "arn:aws:iam::123456789012:role/other");
        try (AgentProcess agent = agent(SUBJECT, Map.of(), "--port", "0")) {
            agent.awaitLine(line -> line.contains("own AWS credentials were found"));
            prometheus.awaitScraped(SUBJECT);

            // When
            String token = Emulators.token(eksAuth, "pod-of-" + SUBJECT);
            eksAuth.injectFor(token, new Fault.OtherSubject(Emulators.NAMESPACE, "other"));
            ask(agent, token);

            // Then
            prometheus.awaitFiring("PodIdentityWrongSubject", SUBJECT);
            eksAuth.heal();
            prometheus.awaitCleared("PodIdentityWrongSubject", SUBJECT);
        }
    }

    /** Kubernetes itself is not there: these are the series that kube-state-metrics would show. */
    @Test
    void alertsWhenKubernetesReportsAgentsThatAreMissingOrOutOfMemory() {
        prometheus.showKubeState(KUBE_STATE.formatted(2, 2));
        prometheus.awaitFiring("PodIdentityAgentAbsent", "");
        prometheus.awaitFiring("PodIdentityAgentOutOfMemory", "");

        prometheus.showKubeState(KUBE_STATE.formatted(3, 2));
        prometheus.awaitCleared("PodIdentityAgentAbsent", "");
        prometheus.awaitCleared("PodIdentityAgentOutOfMemory", "");
    }

    private static AgentProcess agent(String node, Map<String, String> environment, String... flags) {
        Map<String, String> all = new LinkedHashMap<>(AgentProcess.environment(eksAuth));
        all.putAll(environment);
        return AgentProcess.run(all, arguments(METRICS.get(node).toString(), flags));
    }

    private static String[] arguments(String metricsPort, String... flags) {
        List<String> all = new ArrayList<>(List.of("server", "--cluster-name", eksAuth.clusterName(), "--endpoint",
                eksAuth.endpoint().toString(), "--bind-hosts", AgentProcess.LOOPBACK, "--probe-port", "0", "--metrics-address",
                AgentProcess.LOOPBACK, "--metrics-port", metricsPort));
        all.addAll(Arrays.asList(flags));
        return all.toArray(String[]::new);
    }

    /** Returns the status, which may be that of any error. */
    private static int ask(AgentProcess agent, String token) {
        try {
            return RawHttp.exchange(agent.port(), request(token)).status();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
