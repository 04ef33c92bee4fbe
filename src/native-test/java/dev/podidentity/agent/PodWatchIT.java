package dev.podidentity.agent;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.emulator.Gate;
import dev.podidentity.emulator.TokenRequest;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.PodBuilder;
import io.vertx.core.http.HttpServerResponse;
import io.vertx.core.json.JsonObject;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Pods that are deleted, unknown pods, and an API server that becomes unreachable. */
@Timeout(120)
class PodWatchIT {

    private static final String ENTRIES = "pod_identity_cache_entries";
    private static final String DROPPED = "pod_identity_cache_evictions_total{cause=\"pod_gone\",}";

    @TempDir
    private Path directory;

    private Cluster cluster;

    @BeforeEach
    void start() throws IOException, InterruptedException {
        cluster = Cluster.start(directory);
    }

    @AfterEach
    void stop() {
        cluster.close();
    }

    private AgentProcess watchingAgent(String... flags) {
        AgentProcess agent = cluster.verifyingAgent(flags);
        awaitWatch(agent);
        return agent;
    }

    private static void awaitWatch(AgentProcess agent) {
        agent.awaitLine(line -> line.contains("Watching the pods of this node"));
    }

    private static RawHttp.Answer ask(AgentProcess agent, String token) throws IOException {
        return RawHttp.askAsSdk(agent.port(), token);
    }

    /** Repeats a request until it has this status, because events take a moment to reach the agent. */
    private static RawHttp.Answer askUntil(int status, AgentProcess agent, String token) throws IOException {
        try (RawHttp http = new RawHttp(agent.port())) {
            RawHttp.Answer answer = http.askAsSdk(token);
            while (answer.status() != status) {
                answer = http.askAsSdk(token);
            }
            return answer;
        }
    }

    /** Returns the token of a pod that the agent served and knows to be gone. */
    private String tokenOfADeadPod(AgentProcess agent, String name) throws IOException {
        Pod pod = cluster.createPod(name);
        String token = cluster.mint(cluster.request(pod));
        ask(agent, token);
        cluster.delete(pod);
        askUntil(403, agent, token);
        return token;
    }

    /** Returns a token that was issued long before the agent listed the pods. */
    private String oldToken(TokenRequest request) {
        return cluster.mint(request.withIssuedAt(Instant.now().minus(Duration.ofHours(2))));
    }

    @Test
    void thePodThatDiesLosesItsCredentialsAndItsTokenIsForbidden() throws IOException {
        try (AgentProcess agent = watchingAgent("--pod-watch")) {
            // Given
            Pod pod = cluster.createPod("batch");
            String token = cluster.mint(cluster.request(pod));
            assertThat(ask(agent, token).status()).isEqualTo(200);
            assertThat(agent.metric(ENTRIES)).isOne();

            // When
            cluster.delete(pod);
            RawHttp.Answer answer = askUntil(403, agent, token);

            // Then
            assertThat(new JsonObject(answer.body()).getString("Message")).startsWith("The token's pod no longer exists on this node");
            assertThat(agent.metric(DROPPED)).isOne();
            assertThat(agent.metric(ENTRIES)).isZero();
            assertThat(cluster.eksAuth().calls()).isOne();
        }
    }

    @Test
    void aPodThatDiesWhileItsCallIsUnderWayGetsNothingOfIt() throws IOException {
        try (AgentProcess agent = watchingAgent("--pod-watch", "--request-deadline", "10s", "--attempt-timeout", "10s")) {
            // Given
            Pod pod = cluster.createPod("batch");
            Gate gate = cluster.eksAuth().hold();
            try (RawHttp http = new RawHttp(agent.port())) {
                http.send(RawHttp.request(cluster.mint(cluster.request(pod))));
                cluster.eksAuth().whenCalls(1).orTimeout(10, TimeUnit.SECONDS).join();

                // When
                cluster.delete(pod);

                // Then: at once
                assertThat(http.answer().status()).isEqualTo(403);
                gate.release();
            }
            while (agent.metric("pod_identity_upstream_in_flight") > 0) {
                Thread.onSpinWait();
            }
            assertThat(agent.metric(ENTRIES)).isZero();
        }
    }

    @Test
    void aPodThatFinishesIsGoneToo() throws IOException {
        try (AgentProcess agent = watchingAgent("--pod-watch")) {
            // Given
            Pod pod = cluster.createPod("job");
            String token = cluster.mint(cluster.request(pod));
            ask(agent, token);

            // When
            cluster.api().client().pods().resource(pod).editStatus(running -> new PodBuilder(running)
                    .editStatus().withPhase("Succeeded").endStatus().build());

            // Then
            askUntil(403, agent, token);
            assertThat(agent.metric(ENTRIES)).isZero();
        }
    }

    @Test
    void whatPodsShareStaysUntilTheLastOneDies() throws IOException {
        try (AgentProcess agent = watchingAgent("--pod-watch")) {
            // Given
            Pod first = cluster.createPod("first");
            Pod second = cluster.createPod("second");
            String firstToken = cluster.mint(cluster.request(first));
            String secondToken = cluster.mint(cluster.request(second));
            String shared = ask(agent, firstToken).body();
            assertThat(ask(agent, secondToken).body()).isEqualTo(shared);

            // When: the pod is deleted with whose token they were fetched
            cluster.delete(first);
            askUntil(403, agent, firstToken);

            // Then
            assertThat(ask(agent, secondToken).body()).isEqualTo(shared);
            assertThat(agent.metric(DROPPED)).isZero();
            assertThat(cluster.eksAuth().calls()).isOne();

            // When
            cluster.delete(second);
            askUntil(403, agent, secondToken);

            // Then
            assertThat(agent.metric(DROPPED)).isOne();
            assertThat(agent.metric(ENTRIES)).isZero();
        }
    }

    @Test
    void aPodMadeAnewUnderTheSameNameIsAnother() throws IOException {
        try (AgentProcess agent = watchingAgent("--pod-watch")) {
            // Given
            String oldToken = tokenOfADeadPod(agent, "db-0");

            // When
            Pod young = cluster.createPod("db-0");

            // Then
            assertThat(ask(agent, cluster.mint(cluster.request(young))).status()).isEqualTo(200);
            assertThat(ask(agent, oldToken).status()).isEqualTo(403);
        }
    }

    @Test
    void aTokenOfAPodThatIsNotInTheListIsForbiddenIfItIsOlder() throws IOException {
        try (AgentProcess agent = watchingAgent("--pod-watch")) {
            // Given
            TokenRequest unknown = cluster.request("unknown");
            Pod known = cluster.createPod("known");

            // Then: not rejected, because the event of a new pod may arrive after its first request
            assertThat(ask(agent, oldToken(unknown)).status()).isEqualTo(403);
            assertThat(cluster.eksAuth().calls()).isZero();
            assertThat(ask(agent, cluster.mint(unknown)).status()).isEqualTo(200);
            assertThat(ask(agent, oldToken(cluster.request(known))).status()).isEqualTo(200);
        }
    }

    @Test
    void watchesWithoutVerificationToo() throws IOException {
        try (AgentProcess agent = cluster.agent("--pod-watch")) {
            // Given
            awaitWatch(agent);
            Pod pod = cluster.createPod("pod-1");
            String token = cluster.mint(cluster.request(pod));
            assertThat(ask(agent, token).status()).isEqualTo(200);

            // When
            cluster.delete(pod);

            // Then
            askUntil(403, agent, token);
            assertThat(agent.metric(ENTRIES)).isZero();
        }
    }

    @Test
    void allPodsLiveWhileTheApiServerIsAwayButThoseThatHaveDied() throws IOException {
        try (AgentProcess agent = watchingAgent("--pod-watch")) {
            // Given
            String deadToken = tokenOfADeadPod(agent, "dead");
            Pod living = cluster.createPod("living");
            String livingToken = cluster.mint(cluster.request(living));
            String before = ask(agent, livingToken).body();
            String unknown = oldToken(cluster.request("unknown"));
            assertThat(ask(agent, unknown).status()).isEqualTo(403);

            // When
            cluster.api().stop();
            askUntil(200, agent, unknown);

            // Then
            assertThat(agent.metric("pod_identity_pods_synced")).isZero();
            assertThat(ask(agent, livingToken).body()).isEqualTo(before);
            assertThat(ask(agent, deadToken).status()).isEqualTo(403);
        }
    }

    @Test
    void findsOutWhoDiedWhileTheApiServerWasAway() throws IOException {
        try (AgentProcess agent = watchingAgent("--pod-watch")) {
            // Given
            Pod pod = cluster.createPod("pod-1");
            String token = cluster.mint(cluster.request(pod));
            assertThat(ask(agent, token).status()).isEqualTo(200);
            cluster.eksAuth().associate(Emulators.NAMESPACE, "other", "arn:aws:iam::123456789012:role/other");
            String unknown = oldToken(cluster.request(Emulators.NAMESPACE, "other", "unknown"));
            cluster.api().stop();
            askUntil(200, agent, unknown);
            cluster.delete(pod);
            assertThat(ask(agent, token).status()).isEqualTo(200);

            agent.awaitLine(line -> line.contains("The pods of this node cannot be watched"));

            // When: the API server no longer has the history that the agent needs to resume
            AtomicLong expired = new AtomicLong();
            CompletableFuture<Duration> listed = new CompletableFuture<>();
            cluster.api().answer(Cluster.PODS, request -> {
                if (request.getParam("watch") != null) {
                    expired.set(System.nanoTime());
                    request.response().setStatusCode(410).end("{}");
                } else {
                    listed.complete(Duration.ofNanos(System.nanoTime() - expired.get()));
                    cluster.api().answerFromObjects(Cluster.PODS);
                    // The agent retries.
                    request.connection().close();
                }
            });
            cluster.api().restart();

            // Then: at once; the next backoff would be 4 to 8 s
            assertThat(listed.join()).isLessThan(Duration.ofSeconds(4));
            askUntil(403, agent, token);
            assertThat(agent.metric(DROPPED)).isOne();
        }
    }

    @Test
    void watchesWithinSecondsOnceAnApiServerThatHasJustStartedAllowsIt() throws IOException {
        // Given: an API server that refuses everyone until it has read the roles
        AtomicInteger refusals = new AtomicInteger();
        cluster.api().answer(Cluster.PODS, request -> {
            if (refusals.incrementAndGet() == 2) {
                cluster.api().answerFromObjects(Cluster.PODS);
            }
            request.response().setStatusCode(403).end("{}");
        });

        // When
        try (AgentProcess agent = watchingAgent("--pod-watch")) {
            // Then
            assertThat(refusals).hasValue(2);
            assertThat(agent.lines("The agent is not allowed to watch the pods")).isZero();
            assertThat(ask(agent, oldToken(cluster.request("unknown"))).status()).isEqualTo(403);
        }
    }

    @Test
    void podsThatHaveDiedStayDeadWhileTheAgentMayNotWatchAnyMore() throws IOException {
        try (AgentProcess agent = watchingAgent("--pod-watch")) {
            // Given
            String deadToken = tokenOfADeadPod(agent, "dead");
            String unknown = oldToken(cluster.request("unknown"));
            assertThat(ask(agent, unknown).status()).isEqualTo(403);

            // When
            cluster.api().stop();
            cluster.api().answer(Cluster.PODS, 403, "{}");
            cluster.api().restart();
            agent.awaitLine(line -> line.contains("The agent is not allowed to watch the pods of this node"));

            // Then
            assertThat(ask(agent, deadToken).status()).isEqualTo(403);
            assertThat(ask(agent, unknown).status()).as("what is not known lives").isEqualTo(200);

            // When
            cluster.api().answerFromObjects(Cluster.PODS);

            // Then
            askUntil(403, agent, unknown);
            assertThat(ask(agent, deadToken).status()).isEqualTo(403);
        }
    }

    @Test
    void noPodCanMakeTheListTooLong() {
        // Given: a page of more than 16 such pods exceeds the limit
        int pods = 30;
        String label = "x".repeat(1024 * 1024);
        cluster.api().answer(Cluster.PODS, request -> {
            HttpServerResponse response = request.response().setChunked(true);
            if (request.getParam("watch") != null) {
                response.write("\n");
                return;
            }
            int from = Integer.parseInt(Optional.ofNullable(request.getParam("continue")).orElse("0"));
            int to = Math.min(pods, from + Integer.parseInt(request.getParam("limit")));
            response.write("{\"metadata\":{\"resourceVersion\":\"1\",\"continue\":\"" + (to < pods ? to : "") + "\"},\"items\":[");
            for (int pod = from; pod < to; pod++) {
                response.write((pod == from ? "" : ",") + new JsonObject().put("metadata", new JsonObject()
                        .put("uid", "uid-" + pod)
                        .put("labels", new JsonObject().put("large", label))).encode());
            }
            response.end("]}");
        });

        // When
        try (AgentProcess agent = cluster.agent("--pod-watch")) {
            awaitWatch(agent);

            // Then
            assertThat(agent.metric("pod_identity_pods")).isEqualTo(pods);
            assertThat(agent.metric("pod_identity_pods_synced")).isOne();
        }
    }

    @Test
    void aClockOfTheNodeThatWasAheadRefusesNoYoungPod() throws IOException {
        // Given: the node's clock is two hours ahead of the API server's, which dates tokens
        Instant now = Instant.now().minus(Duration.ofHours(2));
        cluster.api().answer(Cluster.PODS, request -> {
            request.response().putHeader("Date", DateTimeFormatter.RFC_1123_DATE_TIME.format(now.atOffset(ZoneOffset.UTC)));
            request.response().end(request.getParam("watch") == null
                    ? "{\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[]}"
                    : "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"2\"}}}\n");
        });

        try (AgentProcess agent = watchingAgent("--pod-watch")) {
            // When
            String young = cluster.mint(cluster.request("young").withIssuedAt(now.plusSeconds(5)));
            String old = cluster.mint(cluster.request("old").withIssuedAt(now.minus(Duration.ofMinutes(5))));

            // Then
            assertThat(ask(agent, young).status()).isEqualTo(200);
            assertThat(ask(agent, old).status()).isEqualTo(403);
        }
    }

    @Test
    void servesAllWhenItIsStartedWhileTheApiServerIsAway() throws IOException {
        // Given
        Pod pod = cluster.createPod("pod-1");
        String unknown = oldToken(cluster.request("unknown"));
        cluster.api().stop();

        try (AgentProcess agent = cluster.agent("--pod-watch", "--token-verification", "jwks")) {
            // When
            assertThat(ask(agent, oldToken(cluster.request(pod))).status()).isEqualTo(200);
            assertThat(ask(agent, unknown).status()).isEqualTo(200);
            agent.awaitLine(line -> line.contains("The pods of this node cannot be watched"));

            // Then
            cluster.api().restart();
            awaitWatch(agent);
            assertThat(ask(agent, oldToken(cluster.request(pod))).status()).isEqualTo(200);
            assertThat(ask(agent, unknown).status()).isEqualTo(403);
        }
    }
}
