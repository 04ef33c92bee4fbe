package dev.podidentity.agent.prometheus;

import static io.restassured.RestAssured.given;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import dev.podidentity.agent.AgentProcess;
import dev.podidentity.agent.FreePorts;
import dev.podidentity.agent.testing.AlertRules;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;

/**
 * A real Prometheus that scrapes agents, and its surroundings in a cluster: an Alertmanager, which is this class and records the
 * alerts that it receives, and kube-state-metrics, whose series are made up.
 */
public final class PrometheusServer implements AutoCloseable {

    public static final Duration SCRAPE_INTERVAL = Duration.ofSeconds(2);
    private static final Duration PATIENCE = Duration.ofMinutes(4);
    private static final long POLL_MILLIS = 500;

    private final Process process;
    private final HttpServer surroundings;
    private final int port;
    private volatile String kubeStateMetrics;
    /** The times at which alerts end, by name and node; the node is "" for alerts that are not about one. */
    private final Map<String, Instant> alerts = new HashMap<>();

    private PrometheusServer(Process process, HttpServer surroundings, int port, String kubeStateMetrics) {
        this.process = process;
        this.surroundings = surroundings;
        this.port = port;
        this.kubeStateMetrics = kubeStateMetrics;
    }

    /**
     * Starts Prometheus, and waits until it evaluates rules.
     *
     * @param directory the directory for its files
     * @param agents the agents' metrics ports by node name; the agents need not listen yet
     * @param kubeStateMetrics the series of kube-state-metrics
     */
    public static PrometheusServer start(
            Path directory, AlertRules rules, Map<String, Integer> agents, String kubeStateMetrics) throws IOException {
        HttpServer surroundings = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        int port = FreePorts.one();
        rules.writeTo(directory.resolve("rules.yaml"));
        Files.writeString(directory.resolve("prometheus.yaml"), configuration(agents, surroundings.getAddress().getPort()));
        Process process = new ProcessBuilder(
                        "prometheus",
                        "--config.file=prometheus.yaml",
                        "--storage.tsdb.path=data",
                        // An alert that fires before Prometheus has found the Alertmanager waits for this long, by default a minute.
                        "--rules.alert.resend-delay=5s",
                        "--web.listen-address=" + AgentProcess.LOOPBACK + ':' + port)
                .directory(directory.toFile())
                .redirectErrorStream(true)
                .redirectOutput(directory.resolve("prometheus.log").toFile())
                .start();
        PrometheusServer server = new PrometheusServer(process, surroundings, port, kubeStateMetrics);
        surroundings.createContext("/metrics", exchange -> answer(exchange, server.kubeStateMetrics));
        surroundings.createContext("/api/v2/alerts", exchange -> {
            server.received(new JsonArray(new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8)));
            answer(exchange, "");
        });
        surroundings.start();
        // Fires first, because no agent has been scraped yet.
        server.awaitFiring("PodIdentityMetricsAbsent", "");
        return server;
    }

    /** Replaces the series of kube-state-metrics. */
    public void showKubeState(String metrics) {
        kubeStateMetrics = metrics;
    }

    private static String configuration(Map<String, Integer> agents, int surroundings) {
        StringBuilder targets = new StringBuilder();
        agents.forEach((node, metrics) -> targets.append("""
                      - targets: ['127.0.0.1:%d']
                        labels: {node: %s, namespace: kube-system}
                """.formatted(metrics, node)));
        return """
                global: {scrape_interval: %1$ds, scrape_timeout: %1$ds, evaluation_interval: 1s}
                rule_files: [rules.yaml]
                alerting:
                  alertmanagers:
                    - static_configs: [{targets: ['127.0.0.1:%2$d']}]
                scrape_configs:
                  - job_name: kube-system/eks-pod-identity-agent
                    static_configs:
                %3$s
                  - job_name: kube-state-metrics
                    static_configs: [{targets: ['127.0.0.1:%2$d']}]
                """.formatted(SCRAPE_INTERVAL.toSeconds(), surroundings, targets);
    }

    private static void answer(HttpExchange exchange, String body) throws IOException {
        byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
        exchange.getResponseHeaders().add("Content-Type", "text/plain; version=0.0.4");
        exchange.sendResponseHeaders(200, bytes.length == 0 ? -1 : bytes.length);
        exchange.getResponseBody().write(bytes);
        exchange.close();
    }

    private synchronized void received(JsonArray sent) {
        for (int i = 0; i < sent.size(); i++) {
            JsonObject labels = sent.getJsonObject(i).getJsonObject("labels");
            alerts.put(
                    key(labels.getString("alertname"), labels.getString("node", "")),
                    Instant.parse(sent.getJsonObject(i).getString("endsAt")));
        }
        notifyAll();
    }

    private static String key(String alert, String node) {
        return alert + ' ' + node;
    }

    private synchronized boolean fires(String alert, String node) {
        return alerts.getOrDefault(key(alert, node), Instant.MIN).isAfter(Instant.now());
    }

    /** Waits until an alert fires for a node; the node is "" for alerts that are not about one. */
    public void awaitFiring(String alert, String node) {
        await(alert + " fires for '" + node + '\'', () -> fires(alert, node));
    }

    /** Waits until an alert that has fired before no longer fires. */
    public void awaitCleared(String alert, String node) {
        await(alert + " clears for '" + node + '\'', () -> alerts.containsKey(key(alert, node)) && !fires(alert, node));
    }

    private synchronized void await(String what, BooleanSupplier condition) {
        Instant giveUp = Instant.now().plus(PATIENCE);
        while (!condition.getAsBoolean()) {
            long left = Duration.between(Instant.now(), giveUp).toMillis();
            if (left <= 0) {
                throw new AssertionError("Timed out waiting for: " + what + "; received: " + alerts);
            }
            try {
                wait(Math.min(left, POLL_MILLIS));
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new IllegalStateException(e);
            }
        }
    }

    /** Waits until a node's agent has been scraped, so that Prometheus sees later increases of its counters. */
    public void awaitScraped(String node) {
        await(node + " is scraped", () -> !query("up{node=\"" + node + "\"} == 1").isEmpty());
    }

    /** Returns the current result of a query. */
    public JsonArray query(String expression) {
        return get("/api/v1/query", Map.of("query", expression));
    }

    /** Returns the result of a query for each second of a range. */
    public JsonArray queryRange(String expression, Instant from, Instant to) {
        return get("/api/v1/query_range", Map.of(
                "query", expression,
                "start", Double.toString(from.toEpochMilli() / 1000.0),
                "end", Double.toString(to.toEpochMilli() / 1000.0),
                "step", "1"));
    }

    private JsonArray get(String path, Map<String, String> parameters) {
        String text = given().port(port).queryParams(parameters).get(path).asString();
        JsonObject answer = new JsonObject(text);
        if (!"success".equals(answer.getString("status"))) {
            throw new AssertionError(parameters + ": " + text);
        }
        return answer.getJsonObject("data").getJsonArray("result");
    }

    @Override
    public void close() {
        process.destroy();
        try {
            if (!process.waitFor(30, TimeUnit.SECONDS)) {
                process.destroyForcibly();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        surroundings.stop(0);
    }
}
