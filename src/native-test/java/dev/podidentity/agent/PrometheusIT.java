package dev.podidentity.agent;

import static dev.podidentity.agent.RawHttp.request;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertAll;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.podidentity.agent.observe.RequestOutcome;
import dev.podidentity.agent.prometheus.Picture;
import dev.podidentity.agent.prometheus.PrometheusServer;
import dev.podidentity.agent.testing.AlertRules;
import dev.podidentity.agent.testing.AlertRules.Alert;
import dev.podidentity.emulator.EksAuthEmulator;
import dev.podidentity.emulator.EksAuthError;
import dev.podidentity.emulator.Fault;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;

/**
 * The dashboard and the alerts with a real Prometheus and live agents: each query of the dashboard returns data, and alerts fire
 * and clear as faults come and go. Each fault has its own node, and all happen at the same time. Ranges and hold times are cut
 * to seconds, and so is the threshold for the renewal lag. {@link FaultAlertsIT} has the other alerts.
 */
@Timeout(300)
@Execution(ExecutionMode.CONCURRENT)
class PrometheusIT {

    private static final int PODS = 8;
    private static final Duration PATIENCE = Duration.ofMinutes(3);
    private static final String EKS_AUTH_FAILS = "eks-auth-fails";
    private static final String THROTTLED = "throttled";
    private static final String FLOODED = "flooded";
    private static final String PAUSED = "paused";
    private static final String INCOMPLETE = "incomplete";
    private static final String RESTARTED = "restarted";
    private static final Pattern SERIES =
            Pattern.compile("\\b(?:pod_identity_\\w+|kube_\\w+|process_\\w+|up\\b)(?:\\{[^}]*})?");
    private static final Pattern OUTCOMES = Pattern.compile("^pod_identity_requests_total\\{outcome=~?\"([a-z_|]+)\"}$");
    private static final Map<String, String> SHORTENED = Map.of(
            "[5m]", "[15s]", "[15m]", "[15s]", "[30m]", "[30s]", "[1h]", "[1m]",
            "pod_identity_renewal_lag_seconds > 600", "pod_identity_renewal_lag_seconds > 5");
    private static final String KUBE_STATE_METRICS = """
            kube_daemonset_status_desired_number_scheduled{namespace="kube-system",daemonset="eks-pod-identity-agent"} 3
            kube_daemonset_status_number_ready{namespace="kube-system",daemonset="eks-pod-identity-agent"} 3
            kube_pod_container_status_restarts_total{namespace="kube-system",pod="a",container="eks-pod-identity-agent"} 1
            kube_pod_container_status_last_terminated_reason{namespace="kube-system",pod="a",container="eks-pod-identity-agent",reason="OOMKilled"} 1
            kube_pod_container_status_last_terminated_exitcode{namespace="kube-system",pod="a",container="eks-pod-identity-agent"} 137
            """;

    @TempDir
    private static Path directory;

    private static final ScheduledExecutorService TRAFFIC = Executors.newScheduledThreadPool(16);
    private static final Map<String, Integer> METRICS = new LinkedHashMap<>();
    private static Cluster cluster;
    private static PrometheusServer prometheus;
    private static BusyNode node;
    /** What runs until the end, so that no agent is reported unreachable after its fault. */
    private static final List<AutoCloseable> STARTED = new CopyOnWriteArrayList<>();
    private static Instant began;

    @BeforeAll
    static void start() throws IOException, InterruptedException {
        if (!AlertRules.installed("prometheus")) {
            System.err.println("PROMETHEUS IS NOT INSTALLED: DASHBOARD AND ALERTS ARE NOT TESTED (apt-get install prometheus)");
        }
        assumeTrue(AlertRules.installed("prometheus"), "prometheus is not installed");
        List<String> nodes = List.of(Cluster.NODE, EKS_AUTH_FAILS, THROTTLED, FLOODED, PAUSED, INCOMPLETE, RESTARTED);
        List<Integer> ports = FreePorts.take(nodes.size());
        for (int i = 0; i < nodes.size(); i++) {
            METRICS.put(nodes.get(i), ports.get(i));
        }
        prometheus = PrometheusServer.start(
                Files.createDirectory(directory.resolve("prometheus")),
                AlertRules.read().with(PrometheusIT::shortened, "2s"),
                METRICS,
                KUBE_STATE_METRICS);
        began = Instant.now();
        cluster = Cluster.start(directory);
        node = new BusyNode(cluster.eksAuth(), untilTheEnd(cluster.verifyingAgent("--pod-watch", "--metrics-port",
                METRICS.get(Cluster.NODE).toString(), "--max-credential-retention-before-renewal", "3s",
                "--max-service-qps", "50")), name -> cluster.mint(cluster.request(cluster.createPod(name, name))));
    }

    private static String shortened(String expression) {
        String shortened = expression;
        for (Map.Entry<String, String> each : SHORTENED.entrySet()) {
            shortened = shortened.replace(each.getKey(), each.getValue());
        }
        return shortened;
    }

    @AfterAll
    static void stop() throws IOException {
        String picture = System.getProperty("dashboard.picture");
        if (picture != null && began != null) {
            Files.writeString(Path.of(picture), picture());
        }
        TRAFFIC.shutdownNow();
        if (prometheus != null) {
            prometheus.close();
        }
        assertAll(STARTED.stream().map(started -> (Executable) started::close));
        if (cluster != null) {
            cluster.close();
        }
    }

    private static <T extends AutoCloseable> T untilTheEnd(T started) {
        STARTED.add(started);
        return started;
    }

    /** A node whose pods request credentials all the time, and an agent that renews them every three seconds. */
    private static final class BusyNode {

        private final EksAuthEmulator eksAuth;
        private final AgentProcess agent;
        private final UnaryOperator<String> pods;
        private final List<String> tokens = new ArrayList<>();
        private final AtomicInteger turn = new AtomicInteger();
        private final AtomicInteger newPods = new AtomicInteger();

        /** @param pods creates a pod with a name, of a service account with the same name, and returns its token */
        BusyNode(EksAuthEmulator eksAuth, AgentProcess agent, UnaryOperator<String> pods) {
            this.eksAuth = eksAuth;
            this.agent = agent;
            this.pods = pods;
            for (int i = 0; i < PODS; i++) {
                tokens.add(newPod("pod-" + i));
            }
            TRAFFIC.scheduleAtFixedRate(
                    () -> ask(tokens.get(turn.getAndIncrement() % PODS)), 0, 200, TimeUnit.MILLISECONDS);
        }

        /** Starts a node with its own EKS Auth. */
        static BusyNode start(String name, EksAuthEmulator eksAuth, String... flags) {
            List<String> all = new ArrayList<>(List.of("--metrics-port", METRICS.get(name).toString(),
                    "--max-credential-retention-before-renewal", "3s", "--max-service-qps", "50"));
            all.addAll(List.of(flags));
            return new BusyNode(eksAuth, untilTheEnd(AgentProcess.start(eksAuth, all.toArray(String[]::new))),
                    pod -> eksAuth.tokens().mint(Emulators.NAMESPACE, pod, pod));
        }

        private String newPod(String pod) {
            eksAuth.associate(Emulators.NAMESPACE, pod, "arn:aws:iam::123456789012:role/" + pod);
            return pods.apply(pod);
        }

        /** Requests credentials for a pod of a service account that has none in the cache. */
        void startPod() {
            ask(newPod("new-" + newPods.incrementAndGet()));
        }

        /** Returns the status of the response, or 0 if there is none because of a fault. */
        int ask(String token) {
            try {
                return RawHttp.exchange(agent.port(), request(token)).status();
            } catch (IOException e) {
                return 0;
            }
        }
    }

    @Test
    void everyQueryOfTheDashboardHasData() throws IOException {
        // Given
        node.startPod();
        List<String> queries = new ArrayList<>();
        JsonArray panels = dashboard().getJsonArray("panels");
        for (int i = 0; i < panels.size(); i++) {
            JsonArray targets = panels.getJsonObject(i).getJsonArray("targets", new JsonArray());
            for (int j = 0; j < targets.size(); j++) {
                queries.add(filledIn(targets.getJsonObject(j).getString("expr")));
            }
        }
        assertThat(queries).hasSizeGreaterThan(40);

        // Then
        List<String> without = new ArrayList<>(queries);
        await(() -> {
            node.ask("no-token");
            without.removeIf(query -> !prometheus.query(query).isEmpty());
            return without.isEmpty();
        }, () -> "queries without data: " + without);
    }

    private static JsonObject dashboard() throws IOException {
        return new JsonObject(Files.readString(AlertRules.DASHBOARD));
    }

    /** Replaces the variables as Grafana does. */
    private static String filledIn(String query) {
        return query.replace("$node", ".*").replace("$__rate_interval", "10s");
    }

    @Test
    void everyAlertUsesSeriesThatExist() {
        List<String> without = new ArrayList<>();
        for (Alert alert : AlertRules.read().alerts()) {
            // Fails if Prometheus cannot evaluate it.
            prometheus.query(alert.expression());
            SERIES.matcher(alert.expression()).results().map(result -> result.group()).forEach(without::add);
        }
        assertThat(without).hasSizeGreaterThan(30);
        // The series of an outcome exists after its first request. Until then, the label must at least be one of the agent's.
        List<String> outcomes = Stream.of(RequestOutcome.values()).map(RequestOutcome::label).toList();
        without.removeIf(series -> {
            Matcher counted = OUTCOMES.matcher(series);
            return counted.find() && outcomes.containsAll(List.of(counted.group(1).split("\\|")));
        });

        await(() -> {
            without.removeIf(series -> !prometheus.query(series).isEmpty());
            return without.isEmpty();
        }, () -> "no such series: " + without);
    }

    @Test
    void noAlertAboutMissingMetricsOnceAnAgentIsScraped() {
        // It has fired already: PrometheusServer waits for it before any agent starts.
        prometheus.awaitCleared("PodIdentityMetricsAbsent", "");
    }

    @Test
    void alertsWhileEksAuthFailsAndTheCacheRunsDown() {
        // Given: credentials of twenty minutes, and pods that start all the time
        EksAuthEmulator eksAuth = untilTheEnd(EksAuthEmulator.start());
        eksAuth.inject(new Fault.ShortExpiry(Duration.ofMinutes(20)));
        BusyNode failing = BusyNode.start(EKS_AUTH_FAILS, eksAuth);
        await(() -> failing.agent.metric("pod_identity_cache_entries") == PODS, () -> "some pods have no credentials");
        // When
        eksAuth.inject(new Fault.ErrorAnswer(EksAuthError.INTERNAL_SERVER));
        ScheduledFuture<?> starts = TRAFFIC.scheduleWithFixedDelay(failing::startPod, 0, 100, TimeUnit.MILLISECONDS);
        // Then
        prometheus.awaitFiring("PodIdentityEksAuthFailing", EKS_AUTH_FAILS);
        prometheus.awaitFiring("PodIdentityCredentialsExpireSoon", "");
        prometheus.awaitFiring("PodIdentityRequestErrors", EKS_AUTH_FAILS);
        prometheus.awaitFiring("PodIdentityRenewalsBehind", EKS_AUTH_FAILS);
        // When
        starts.cancel(false);
        eksAuth.heal();
        // Then
        prometheus.awaitCleared("PodIdentityEksAuthFailing", EKS_AUTH_FAILS);
        prometheus.awaitCleared("PodIdentityCredentialsExpireSoon", "");
        prometheus.awaitCleared("PodIdentityRequestErrors", EKS_AUTH_FAILS);
        prometheus.awaitCleared("PodIdentityRenewalsBehind", EKS_AUTH_FAILS);
    }

    @Test
    void alertsWhileEksAuthThrottles() {
        EksAuthEmulator eksAuth = untilTheEnd(EksAuthEmulator.start());
        BusyNode throttled = BusyNode.start(THROTTLED, eksAuth);
        await(() -> throttled.agent.metric("pod_identity_cache_entries") == PODS, () -> "some pods have no credentials");

        eksAuth.inject(new Fault.ErrorAnswer(EksAuthError.THROTTLING));
        prometheus.awaitFiring("PodIdentityThrottled", "");

        eksAuth.heal();
        prometheus.awaitCleared("PodIdentityThrottled", "");
    }

    @Test
    void alertsWhileTokensAreRefusedOrForged() {
        // When
        String refused = cluster.mint(cluster.request(cluster.createPod("without-association", "without-association")));
        String valid = node.tokens.get(0);
        String forged = valid.substring(0, valid.length() - 12) + "AAAAAAAAAAAA";
        ScheduledFuture<?> asking = TRAFFIC.scheduleWithFixedDelay(() -> {
            node.ask(refused);
            node.ask(forged);
        }, 0, 500, TimeUnit.MILLISECONDS);
        // Then
        prometheus.awaitFiring("PodIdentityTokensRefused", Cluster.NODE);
        prometheus.awaitFiring("PodIdentityForgedTokens", Cluster.NODE);
        // When
        asking.cancel(false);
        // Then
        prometheus.awaitCleared("PodIdentityTokensRefused", Cluster.NODE);
        prometheus.awaitCleared("PodIdentityForgedTokens", Cluster.NODE);
    }

    @Test
    void alertsWhileASourceIsLimited() {
        BusyNode flooded = BusyNode.start(FLOODED, untilTheEnd(EksAuthEmulator.start()), "--source-requests-per-second", "100",
                "--source-request-burst", "200");
        // When
        ScheduledFuture<?> flood = TRAFFIC.scheduleWithFixedDelay(() -> {
            try (RawHttp http = new RawHttp(flooded.agent.port())) {
                for (int i = 0; i < 300; i++) {
                    http.send(request("GET", "/x", "Host: 169.254.170.23")).answer();
                }
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }, 0, 100, TimeUnit.MILLISECONDS);
        // Then
        prometheus.awaitFiring("PodIdentitySourceLimited", FLOODED);
        // When
        flood.cancel(false);
        // Then
        prometheus.awaitCleared("PodIdentitySourceLimited", FLOODED);
    }

    @Test
    void alertsWhenTheEventLoopIsLate() {
        BusyNode paused = BusyNode.start(PAUSED, untilTheEnd(EksAuthEmulator.start()));
        prometheus.awaitScraped(PAUSED);

        signal(paused.agent, "STOP");
        CompletableFuture.runAsync(
                () -> signal(paused.agent, "CONT"), CompletableFuture.delayedExecutor(3, TimeUnit.SECONDS)).join();
        prometheus.awaitFiring("PodIdentityEventLoopLag", PAUSED);

        // The metric is the maximum of the last minute, so it falls by itself.
        prometheus.awaitCleared("PodIdentityEventLoopLag", PAUSED);
    }

    private static void signal(AgentProcess agent, String name) {
        try {
            assertThat(new ProcessBuilder("kill", "-" + name, Long.toString(agent.pid())).start().waitFor()).isZero();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    @Test
    void alertsWhileAListenerOrTheAgentsOwnCredentialsAreMissing() throws IOException {
        // When: both are missing from the start
        EksAuthEmulator eksAuth = cluster.eksAuth();
        Path credentials = directory.resolve("own-credentials");
        try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getByName(AgentProcess.LOOPBACK))) {
            untilTheEnd(AgentProcess.run(
                    Map.of("AWS_REGION", eksAuth.region(), "AWS_EC2_METADATA_DISABLED", "true",
                            "AWS_SHARED_CREDENTIALS_FILE", credentials.toString()),
                    arguments(INCOMPLETE, "--port", Integer.toString(taken.getLocalPort()), "--bind-retry-interval", "500ms",
                            "--rotate-credentials")));
            // Then
            prometheus.awaitFiring("PodIdentityListenerDown", INCOMPLETE);
            prometheus.awaitFiring("PodIdentityAgentCredentialsUnusable", INCOMPLETE);
        }
        // When
        new CredentialsFile(credentials, eksAuth);
        // Then
        prometheus.awaitCleared("PodIdentityListenerDown", INCOMPLETE);
        prometheus.awaitCleared("PodIdentityAgentCredentialsUnusable", INCOMPLETE);
    }

    @Test
    void alertsWhileAnAgentIsAwayOrRestartsAgainAndAgain() {
        // When: it has not started yet
        prometheus.awaitFiring("PodIdentityAgentUnreachable", RESTARTED);
        for (int starts = 1; starts <= 2; starts++) {
            try (AgentProcess agent = runRestarted()) {
                agent.awaitLine(line -> line.contains("\"msg\":\"Started\""));
                awaitStartsSeen(starts);
            }
        }
        untilTheEnd(runRestarted());
        awaitStartsSeen(3);
        // Then
        prometheus.awaitCleared("PodIdentityAgentUnreachable", RESTARTED);
        prometheus.awaitFiring("PodIdentityAgentRestarts", RESTARTED);
        prometheus.awaitCleared("PodIdentityAgentRestarts", RESTARTED);
    }

    private static AgentProcess runRestarted() {
        return AgentProcess.run(AgentProcess.environment(cluster.eksAuth()), arguments(RESTARTED, "--port", "0"));
    }

    private static void awaitStartsSeen(int starts) {
        await(() -> startsSeen() == starts, () -> "start " + starts + " is not scraped");
    }

    /** Returns how many starts of the restarted agent Prometheus has seen. */
    private static long startsSeen() {
        JsonArray changes =
                prometheus.query("changes(process_start_time_seconds{node=\"" + RESTARTED + "\"}[10m])");
        return changes.isEmpty()
                ? 0
                : 1 + Long.parseLong(changes.getJsonObject(0).getJsonArray("value").getString(1));
    }

    private static String[] arguments(String name, String... flags) {
        EksAuthEmulator eksAuth = cluster.eksAuth();
        return Stream.concat(
                        Stream.of("server", "--cluster-name", eksAuth.clusterName(), "--endpoint", eksAuth.endpoint().toString(),
                                "--bind-hosts", AgentProcess.LOOPBACK, "--probe-port", "0", "--metrics-address",
                                AgentProcess.LOOPBACK, "--metrics-port", METRICS.get(name).toString()),
                        Stream.of(flags))
                .toArray(String[]::new);
    }

    /** Checks the condition twice a second, and waits until it holds. */
    private static void await(BooleanSupplier condition, Supplier<String> otherwise) {
        CompletableFuture<Void> met = new CompletableFuture<>();
        ScheduledFuture<?> looking = TRAFFIC.scheduleWithFixedDelay(() -> {
            try {
                if (condition.getAsBoolean()) {
                    met.complete(null);
                }
            } catch (AssertionError e) {
                met.completeExceptionally(e);
            }
        }, 0, 500, TimeUnit.MILLISECONDS);
        try {
            met.orTimeout(PATIENCE.toSeconds(), TimeUnit.SECONDS).exceptionally(error -> {
                throw new AssertionError(otherwise.get(), error);
            }).join();
        } finally {
            looking.cancel(false);
        }
    }

    private static String picture() throws IOException {
        Instant ended = Instant.now();
        Picture picture = new Picture(began, ended);
        Map<String, String> wanted = new LinkedHashMap<>();
        for (String title : List.of("Requests by outcome", "Errors by cause", "Latency, p99", "Rejected by a limit",
                "Calls by result", "Failed calls by reason", "Soonest expiry", "Renewal lag", "Calls saved",
                "Event-loop lag", "Entries and evictions", "Verdicts on tokens")) {
            wanted.put(title, "");
        }
        JsonArray panels = dashboard().getJsonArray("panels");
        for (int i = 0; i < panels.size(); i++) {
            JsonObject panel = panels.getJsonObject(i);
            String title = panel.getString("title");
            if (panel.getString("type").equals("timeseries") && wanted.remove(title) != null) {
                JsonArray series = new JsonArray();
                JsonArray targets = panel.getJsonArray("targets");
                for (int j = 0; j < targets.size(); j++) {
                    JsonArray answer = prometheus.queryRange(
                            filledIn(targets.getJsonObject(j).getString("expr")), began, ended);
                    for (int k = 0; k < answer.size(); k++) {
                        JsonObject one = answer.getJsonObject(k);
                        String legend = legend(targets.getJsonObject(j).getString("legendFormat"), one.getJsonObject("metric"));
                        series.add(one.copy().put("metric", new JsonObject().put("legend", legend)));
                    }
                }
                picture.add(title, panel.getJsonObject("fieldConfig").getJsonObject("defaults").getString("unit"), series);
            }
        }
        picture.addTimes("Firing alerts", prometheus.queryRange(
                "count by (alertname, node) (ALERTS{alertstate=\"firing\"})", began, ended));
        return picture.svg();
    }

    /** Fills labels into a format such as {@code {{outcome}} {{code}}}, as Grafana does. */
    private static String legend(String format, JsonObject labels) {
        String legend = format;
        for (Map.Entry<String, Object> label : labels) {
            legend = legend.replace("{{" + label.getKey() + "}}", String.valueOf(label.getValue()));
        }
        return legend;
    }
}
