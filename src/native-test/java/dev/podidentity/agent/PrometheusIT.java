package dev.podidentity.agent;

import static dev.podidentity.agent.RawHttp.request;
import static org.assertj.core.api.Assertions.assertThat;
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
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * What a real Prometheus makes of live agents: the dashboard's queries have data, and alerts fire and clear as faults come and
 * go. Ranges and waiting times of the alerts are cut to seconds, and the lag of renewals that is too much to five.
 */
@Timeout(900)
class PrometheusIT {

    private static final int PODS = 8;
    private static final Duration PATIENCE = Duration.ofMinutes(3);
    private static final String LISTENER = "node-2";
    private static final String RESTARTED = "node-3";
    private static final Pattern SERIES =
            Pattern.compile("\\b(?:pod_identity_\\w+|kube_\\w+|process_\\w+|up\\b)(?:\\{[^}]*})?");
    private static final Pattern OUTCOMES = Pattern.compile("^pod_identity_requests_total\\{outcome=~?\"([a-z_|]+)\"}$");
    private static final Map<String, String> RANGES = Map.of("[5m]", "[15s]", "[15m]", "[15s]", "[30m]", "[30s]", "[1h]", "[2m]");
    private static final String KUBE_STATE_METRICS = """
            kube_daemonset_status_desired_number_scheduled{namespace="kube-system",daemonset="eks-pod-identity-agent"} 3
            kube_daemonset_status_number_ready{namespace="kube-system",daemonset="eks-pod-identity-agent"} 3
            kube_pod_container_status_restarts_total{namespace="kube-system",pod="a",container="eks-pod-identity-agent"} 1
            kube_pod_container_status_last_terminated_reason{namespace="kube-system",pod="a",container="eks-pod-identity-agent",reason="OOMKilled"} 1
            kube_pod_container_status_last_terminated_exitcode{namespace="kube-system",pod="a",container="eks-pod-identity-agent"} 137
            """;

    @TempDir
    private static Path directory;

    private static Cluster cluster;
    private static EksAuthEmulator eksAuth;
    private static PrometheusServer prometheus;
    private static AgentProcess agent;
    private static Map<String, Integer> metricsPorts;
    private static final ScheduledExecutorService TRAFFIC = Executors.newScheduledThreadPool(5);
    private static final List<String> TOKENS = new ArrayList<>();
    private static final AtomicInteger NEW_PODS = new AtomicInteger();
    private static Instant began;

    @BeforeAll
    static void start() throws IOException, InterruptedException {
        if (!AlertRules.installed("prometheus")) {
            System.err.println("PROMETHEUS IS NOT INSTALLED: DASHBOARD AND ALERTS ARE NOT TESTED (apt-get install prometheus)");
        }
        assumeTrue(AlertRules.installed("prometheus"), "prometheus is not installed");
        cluster = Cluster.start(directory);
        eksAuth = cluster.eksAuth();
        List<Integer> ports = FreePorts.take(3);
        metricsPorts = new LinkedHashMap<>();
        metricsPorts.put(Cluster.NODE, ports.get(0));
        metricsPorts.put(LISTENER, ports.get(1));
        metricsPorts.put(RESTARTED, ports.get(2));
        prometheus = PrometheusServer.start(
                Files.createDirectory(directory.resolve("prometheus")),
                AlertRules.read().with(PrometheusIT::shortened, "2s"),
                metricsPorts,
                KUBE_STATE_METRICS);
        agent = cluster.verifyingAgent("--pod-watch", "--metrics-port", Integer.toString(metricsPorts.get(Cluster.NODE)),
                "--max-credential-retention-before-renewal", "3s", "--max-service-qps", "50", "--source-requests-per-second", "100",
                "--source-request-burst", "200");
        for (int i = 0; i < PODS; i++) {
            String account = "account-" + i % 4;
            eksAuth.associate(Emulators.NAMESPACE, account, "arn:aws:iam::123456789012:role/" + account);
            TOKENS.add(cluster.mint(cluster.request(cluster.createPod(account, "pod-" + i))));
        }
        AtomicInteger turn = new AtomicInteger();
        TRAFFIC.scheduleAtFixedRate(
                () -> ask(TOKENS.get(turn.getAndIncrement() % PODS)), 0, 200, TimeUnit.MILLISECONDS);
        began = Instant.now();
    }

    private static String shortened(String expression) {
        String shortened = expression.replace("pod_identity_renewal_lag_seconds > 600", "pod_identity_renewal_lag_seconds > 5");
        for (Map.Entry<String, String> range : RANGES.entrySet()) {
            shortened = shortened.replace(range.getKey(), range.getValue());
        }
        return shortened;
    }

    @AfterAll
    static void stop() throws IOException {
        TRAFFIC.shutdownNow();
        String picture = System.getProperty("dashboard.picture");
        if (picture != null && began != null) {
            Files.writeString(Path.of(picture), picture());
        }
        if (agent != null) {
            agent.close();
        }
        if (prometheus != null) {
            prometheus.close();
            cluster.close();
        }
    }

    /** Gives the status of the answer, or 0 if there is none, which some faults lead to. */
    private static int ask(String token) {
        try {
            return RawHttp.exchange(agent.port(), request(token)).status();
        } catch (IOException e) {
            return 0;
        }
    }

    /** One more pod, of a service account that has no credentials in the cache. */
    private static void askForNewPod() {
        String account = "new-" + NEW_PODS.incrementAndGet();
        eksAuth.associate(Emulators.NAMESPACE, account, "arn:aws:iam::123456789012:role/" + account);
        ask(cluster.mint(cluster.request(cluster.createPod(account, account))));
    }

    @Test
    void everyQueryOfTheDashboardHasData() throws IOException {
        // Given: something of what is an error, and a call
        ask("no-token");
        askForNewPod();
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
            ask("no-token");
            without.removeIf(query -> !prometheus.query(query).isEmpty());
            return without.isEmpty();
        }, () -> "queries without data: " + without);
    }

    private static JsonObject dashboard() throws IOException {
        return new JsonObject(Files.readString(AlertRules.DASHBOARD));
    }

    /** As Grafana does it. */
    private static String filledIn(String query) {
        return query.replace("$node", ".*").replace("$__rate_interval", "10s");
    }

    @Test
    void everyAlertLooksAtSeriesThatThereAre() {
        List<String> without = new ArrayList<>();
        for (Alert alert : AlertRules.read().alerts()) {
            // That it can be evaluated at all.
            prometheus.query(alert.expression());
            SERIES.matcher(alert.expression()).results().map(result -> result.group()).forEach(without::add);
        }
        assertThat(without).hasSizeGreaterThan(30);
        // Requests are counted by an outcome once there was one: what the alerts name are values of that label.
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
    void alertsWhileNoAgentWasThereHaveCleared() {
        prometheus.awaitCleared("PodIdentityMetricsAbsent", "");
    }

    @Test
    void alertsWhenEksAuthFailsAndTheCacheRunsDown() {
        // Given: credentials of twenty minutes, and pods that start all the time
        eksAuth.inject(new Fault.ShortExpiry(Duration.ofMinutes(20)), Integer.MAX_VALUE);
        await(() -> agent.metric("pod_identity_earliest_expiry_seconds") < 3600, () -> "credentials stay long-lived");
        eksAuth.heal();
        // When
        eksAuth.inject(new Fault.ErrorAnswer(EksAuthError.INTERNAL_SERVER), Integer.MAX_VALUE);
        ScheduledFuture<?> starts =
                TRAFFIC.scheduleWithFixedDelay(PrometheusIT::askForNewPod, 0, 100, TimeUnit.MILLISECONDS);
        // Then
        prometheus.awaitFiring("PodIdentityEksAuthFailing", Cluster.NODE);
        prometheus.awaitFiring("PodIdentityCredentialsExpireSoon", "");
        prometheus.awaitFiring("PodIdentityRequestErrors", Cluster.NODE);
        prometheus.awaitFiring("PodIdentityRenewalsBehind", Cluster.NODE);
        // When
        starts.cancel(false);
        eksAuth.heal();
        // Then
        prometheus.awaitCleared("PodIdentityEksAuthFailing", Cluster.NODE);
        prometheus.awaitCleared("PodIdentityCredentialsExpireSoon", "");
        prometheus.awaitCleared("PodIdentityRequestErrors", Cluster.NODE);
        prometheus.awaitCleared("PodIdentityRenewalsBehind", Cluster.NODE);
    }

    @Test
    void alertsWhenEksAuthThrottles() {
        eksAuth.inject(new Fault.ErrorAnswer(EksAuthError.THROTTLING), Integer.MAX_VALUE);
        prometheus.awaitFiring("PodIdentityThrottled", "");

        eksAuth.heal();
        prometheus.awaitCleared("PodIdentityThrottled", "");
    }

    @Test
    void alertsWhenTokensAreRefusedOrForged() {
        // When
        String refused = cluster.mint(cluster.request(cluster.createPod("without-association", "without-association")));
        String valid = TOKENS.get(0);
        String forged = valid.substring(0, valid.length() - 12) + "AAAAAAAAAAAA";
        ScheduledFuture<?> asking = TRAFFIC.scheduleWithFixedDelay(() -> {
            ask(refused);
            ask(forged);
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
    void alertsWhenASourceIsLimited() {
        // When
        ScheduledFuture<?> flood = TRAFFIC.scheduleWithFixedDelay(() -> {
            try (RawHttp http = new RawHttp(agent.port())) {
                for (int i = 0; i < 300; i++) {
                    http.send(request("GET", "/x", "Host: 169.254.170.23")).answer();
                }
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }, 0, 100, TimeUnit.MILLISECONDS);
        // Then
        prometheus.awaitFiring("PodIdentitySourceLimited", Cluster.NODE);
        // When
        flood.cancel(false);
        // Then
        prometheus.awaitCleared("PodIdentitySourceLimited", Cluster.NODE);
    }

    @Test
    void alertsWhenTheEventLoopIsLate() throws IOException, InterruptedException {
        signal("STOP");
        CompletableFuture.runAsync(() -> signal("CONT"), CompletableFuture.delayedExecutor(3, TimeUnit.SECONDS)).join();
        prometheus.awaitFiring("PodIdentityEventLoopLag", Cluster.NODE);

        // The largest of the last minutes goes by itself.
        prometheus.awaitCleared("PodIdentityEventLoopLag", Cluster.NODE);
    }

    private static void signal(String name) {
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
    void alertsWhenAListenerOrTheAgentsOwnCredentialsAreMissing() throws IOException {
        Path credentials = directory.resolve("own-credentials");
        try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getByName(AgentProcess.LOOPBACK));
                AgentProcess other = AgentProcess.run(
                        Map.of("AWS_REGION", eksAuth.region(), "AWS_EC2_METADATA_DISABLED", "true",
                                "AWS_SHARED_CREDENTIALS_FILE", credentials.toString()),
                        arguments(LISTENER, "--port", Integer.toString(taken.getLocalPort()), "--bind-retry-interval", "500ms",
                                "--rotate-credentials"))) {
            // When: as they are at the start
            prometheus.awaitFiring("PodIdentityListenerDown", LISTENER);
            prometheus.awaitFiring("PodIdentityAgentCredentialsUnusable", LISTENER);
            // When
            taken.close();
            new CredentialsFile(credentials, eksAuth);
            // Then
            prometheus.awaitCleared("PodIdentityListenerDown", LISTENER);
            prometheus.awaitCleared("PodIdentityAgentCredentialsUnusable", LISTENER);
            assertThat(other.pid()).isPositive();
        }
    }

    @Test
    void alertsWhenAnAgentIsAwayOrRestartsAgainAndAgain() {
        // When: one that is not there yet
        prometheus.awaitFiring("PodIdentityAgentUnreachable", RESTARTED);
        for (int i = 0; i < 3; i++) {
            try (AgentProcess starts = AgentProcess.run(AgentProcess.environment(eksAuth), arguments(RESTARTED, "--port", "0"))) {
                starts.awaitLine(line -> line.contains("\"msg\":\"Started\""));
                long scrapes = i + 1;
                await(() -> samples() == scrapes, () -> "start " + scrapes + " is not scraped");
                // Then
                if (i == 2) {
                    prometheus.awaitCleared("PodIdentityAgentUnreachable", RESTARTED);
                    prometheus.awaitFiring("PodIdentityAgentRestarts", RESTARTED);
                    prometheus.awaitCleared("PodIdentityAgentRestarts", RESTARTED);
                }
            }
        }
    }

    /** How many starts of the agent that restarts have been seen. */
    private static long samples() {
        JsonArray changes =
                prometheus.query("changes(process_start_time_seconds{node=\"" + RESTARTED + "\"}[10m])");
        return changes.isEmpty()
                ? 0
                : 1 + Long.parseLong(changes.getJsonObject(0).getJsonArray("value").getString(1));
    }

    private static String[] arguments(String node, String... flags) {
        return Stream.concat(
                        Stream.of("server", "--cluster-name", eksAuth.clusterName(), "--endpoint", eksAuth.endpoint().toString(),
                                "--bind-hosts", AgentProcess.LOOPBACK, "--probe-port", "0", "--metrics-address",
                                AgentProcess.LOOPBACK, "--metrics-port", Integer.toString(metricsPorts.get(node))),
                        Stream.of(flags))
                .toArray(String[]::new);
    }

    /** Looks twice a second. */
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
                        if (one.getJsonObject("metric").isEmpty()) {
                            one.getJsonObject("metric").put("name", targets.getJsonObject(j).getString("legendFormat"));
                        }
                        series.add(one);
                    }
                }
                picture.add(title, panel.getJsonObject("fieldConfig").getJsonObject("defaults").getString("unit"), series);
            }
        }
        picture.addTimes("Alerts that fire", prometheus.queryRange(
                "count by (alertname, node) (ALERTS{alertstate=\"firing\"})", began, ended));
        return picture.svg();
    }
}
