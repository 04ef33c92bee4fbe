package dev.podidentity.agent;

import static dev.podidentity.agent.RawHttp.request;
import static org.assertj.core.api.Assertions.assertThat;
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
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
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
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;

/**
 * The alerts that {@link PrometheusIT} does not cover, with a real Prometheus and live agents whose faults are real: each fires
 * and clears. Each test has its own node, and all run at the same time. Ranges and hold times are cut to seconds. Two thresholds
 * are lower: signing keys are old after 25 seconds instead of an hour, and the heap is full at 35 %, because an agent whose heap
 * stays more than 90 % full soon exits. The series of kube-state-metrics are made up.
 */
@Timeout(300)
@Execution(ExecutionMode.CONCURRENT)
class FaultAlertsIT {

    private static final String TAINT = "pods.eks.amazonaws.com/agent-not-ready";
    private static final String CLUSTER = "cluster-1";
    private static final String HEAP = "heap-1";
    private static final String DIRECT_MEMORY = "direct-memory-1";
    private static final String SHARED = "shared-1";
    private static final String LOG = "log-1";
    private static final String CREDENTIALS = "credentials-1";
    private static final String SUBJECT = "subject-1";
    private static final Map<String, String> SHORTENED = Map.of(
            "[5m]", "[15s]", "[15m]", "[15s]", "[30m]", "[20s]", "[1h]", "[30s]",
            "pod_identity_keys_age_seconds > 3600", "pod_identity_keys_age_seconds > 25",
            "pod_identity_heap_max_bytes > 0.9", "pod_identity_heap_max_bytes > 0.35");
    /** Twice the default size of the cache. */
    private static final int MANY_IDENTITIES = 4_000;
    private static final String KUBE_STATE = """
            kube_daemonset_status_desired_number_scheduled{namespace="kube-system",daemonset="eks-pod-identity-agent"} 3
            kube_daemonset_status_number_ready{namespace="kube-system",daemonset="eks-pod-identity-agent"} %d
            kube_pod_container_status_restarts_total{namespace="kube-system",pod="a",container="eks-pod-identity-agent"} %d
            kube_pod_container_status_last_terminated_reason{namespace="kube-system",pod="a",container="eks-pod-identity-agent",reason="OOMKilled"} 1
            """;

    @TempDir
    private static Path directory;

    private static final ScheduledExecutorService TRAFFIC = Executors.newScheduledThreadPool(4);
    private static final Map<String, Integer> METRICS = new LinkedHashMap<>();
    private static EksAuthEmulator eksAuth;
    private static PrometheusServer prometheus;

    @BeforeAll
    static void start() throws IOException {
        assumeTrue(AlertRules.installed("prometheus"), "prometheus is not installed (apt-get install prometheus)");
        assumeTrue(System.getProperty("agent.executable") != null, "needs the native executable, whose memory the rules are for");
        eksAuth = Emulators.start();
        List<String> nodes = List.of(CLUSTER, HEAP, DIRECT_MEMORY, SHARED, LOG, CREDENTIALS, SUBJECT);
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
    void alertsWhileTheCacheFillsTheHeap() throws IOException {
        // When
        try (AgentProcess agent = agent(HEAP, "--port", "0", "--max-cache-size", Integer.toString(MANY_IDENTITIES))) {
            awaitListening(agent);
            serve(agent, MANY_IDENTITIES);
            // Then
            prometheus.awaitFiring("PodIdentityHeapFull", HEAP);
        }

        // When: the cache is smaller
        try (AgentProcess agent = agent(HEAP, "--port", "0", "--max-cache-size", "200")) {
            awaitListening(agent);
            serve(agent, MANY_IDENTITIES / 4);
            // Then
            prometheus.awaitCleared("PodIdentityHeapFull", HEAP);
            assertThat(agent.metric("pod_identity_cache_entries")).isEqualTo(200);
        }
    }

    /** Requests credentials for this many pods, each of which takes a cache entry. */
    private static void serve(AgentProcess agent, int pods) throws IOException {
        try (RawHttp http = new RawHttp(agent.port())) {
            for (int i = 0; i < pods; i++) {
                assertThat(http.askAsSdk(Emulators.token(eksAuth, "pod-" + i)).status()).isEqualTo(200);
            }
        }
    }

    @Test
    void alertsWhileResponsesThatNobodyReadsFillTheDirectMemory() throws IOException {
        // Given: about as much direct memory as the agent's limits let clients use, instead of 16 MiB
        try (AgentProcess agent = agentWith(List.of("-XX:MaxDirectMemorySize=896k"), DIRECT_MEMORY, "--port", "0",
                "--source-requests-per-second", "0")) {
            awaitListening(agent);

            // When
            try (UnreadResponses responses = new UnreadResponses(agent.port(), 1_200, "127.0.0.2", "127.0.0.3")) {
                double most = agent.metric("pod_identity_direct_memory_max_bytes");
                do {
                    responses.sendRequests();
                } while (agent.metric("pod_identity_direct_memory_used_bytes") < 0.9 * most);
                // Then
                prometheus.awaitFiring("PodIdentityDirectMemoryFull", DIRECT_MEMORY);
            }

            // Then
            prometheus.awaitCleared("PodIdentityDirectMemoryFull", DIRECT_MEMORY);
        }
    }

    /** Connections on which requests are sent and no response is read. */
    private static final class UnreadResponses implements AutoCloseable {

        private static final byte[] REQUESTS = request("not.a.token").repeat(8).getBytes(StandardCharsets.US_ASCII);

        private final List<Socket> connections = new ArrayList<>();

        UnreadResponses(int port, int count, String... sources) throws IOException {
            for (int i = 0; i < count; i++) {
                Socket connection = new Socket();
                connections.add(connection);
                // A larger buffer would take responses that the client does not read.
                connection.setReceiveBufferSize(1024);
                connection.bind(new InetSocketAddress(sources[i % sources.length], 0));
                connection.connect(new InetSocketAddress(AgentProcess.LOOPBACK, port));
            }
        }

        /** Sends some requests on each connection that the agent has not closed. */
        void sendRequests() {
            for (Socket connection : connections) {
                try {
                    connection.getOutputStream().write(REQUESTS);
                } catch (IOException e) {
                    // The agent closes connections beyond its budget.
                }
            }
        }

        @Override
        public void close() throws IOException {
            for (Socket connection : connections) {
                connection.close();
            }
        }
    }

    @Test
    void alertsWhileAnotherProcessListensOnTheSamePort() throws IOException {
        String port = String.valueOf(FreePorts.take(1).get(0));
        try (AgentProcess first = agent(SHARED, "--port", port)) {
            awaitListening(first);

            // When
            try (AgentProcess second = AgentProcess.run(AgentProcess.environment(eksAuth), arguments("0", "--port", port))) {
                awaitListening(second);
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
        // Given: credentials that expire before the agent looks for new ones, which it does every minute
        Vertx vertx = Vertx.vertx();
        AtomicReference<Instant> expiration = new AtomicReference<>(Instant.now().plus(Duration.ofSeconds(50)));
        HttpServer imds = vertx.createHttpServer().requestHandler(request -> imds(request, expiration.get()))
                .listen(0, AgentProcess.LOOPBACK).toCompletionStage().toCompletableFuture().join();
        Map<String, String> environment = Map.of("AWS_REGION", eksAuth.region(),
                "AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://" + AgentProcess.LOOPBACK + ":" + imds.actualPort());
        try (AgentProcess agent = AgentProcess.run(environment, arguments(METRICS.get(CREDENTIALS).toString(), "--port", "0"))) {
            agent.awaitLine(line -> line.contains("own AWS credentials were found"));
            // Then
            prometheus.awaitFiring("PodIdentityAgentCredentialsExpire", CREDENTIALS);

            // When
            expiration.set(Instant.now().plus(Duration.ofHours(6)));
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
                    {"Code":"Success","Type":"AWS-HMAC","AccessKeyId":"%s","SecretAccessKey":"%s",
                     "Token":"emulated-session-of-the-node","LastUpdated":"2024-01-01T00:00:00Z","Expiration":"%s"}
                    """.formatted(eksAuth.accessKeyId(), eksAuth.secretAccessKey(), expiration));
            default -> request.response().setStatusCode(404).end();
        }
    }

    @Test
    void alertsWhenEksAuthReturnsCredentialsOfAnotherServiceAccount() {
        eksAuth.associate(Emulators.NAMESPACE, "other", "arn:aws:iam::123456789012:role/other");
        try (AgentProcess agent = agent(SUBJECT, "--port", "0")) {
            awaitListening(agent);
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

    private static AgentProcess agent(String node, String... flags) {
        return agentWith(List.of(), node, flags);
    }

    private static AgentProcess agentWith(List<String> runtimeOptions, String node, String... flags) {
        return AgentProcess.run(AgentProcess.environment(eksAuth),
                Stream.concat(runtimeOptions.stream(), Stream.of(arguments(METRICS.get(node).toString(), flags)))
                        .toArray(String[]::new));
    }

    private static void awaitListening(AgentProcess agent) {
        agent.awaitLine(line -> line.contains("own AWS credentials were found"));
        agent.awaitLine(line -> line.contains("\"msg\":\"Listening\",\"listener\":\"credentials\""));
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
