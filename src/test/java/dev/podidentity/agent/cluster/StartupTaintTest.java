package dev.podidentity.agent.cluster;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.apiserver.ApiServer;
import dev.podidentity.agent.loop.RefusalBackoff;
import dev.podidentity.agent.observe.BuildInfo;
import dev.podidentity.agent.observe.Metrics;
import dev.podidentity.agent.testing.FakeTime;
import dev.podidentity.agent.testing.LogLines;
import dev.podidentity.agent.testing.LoopFixture;
import dev.podidentity.agent.testing.ScriptedServer;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.time.Duration;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class StartupTaintTest {

    private static final String KEY = "agent.example.com/not-ready";
    private static final String NODE = "node-1";
    private static final String UNREACHABLE = "node.kubernetes.io/unreachable";
    /** Longer than any pause between attempts, except after a refusal. */
    private static final Duration A_MINUTE = Duration.ofMinutes(1);

    private final LoopFixture fixture = new LoopFixture();
    private final ScriptedServer server = new ScriptedServer();
    private final ApiServer api = fixture.api(server.url());
    private final SimpleMeterRegistry registry = new SimpleMeterRegistry();
    private final Metrics metrics = new Metrics(registry, new BuildInfo("1"), fixture.time.clock());
    /** The startup taint's own clock, so that its timers are separate from the timeouts of calls. Accessed only on the loop. */
    private final FakeTime pauses = new FakeTime();
    private final LogLines log = new LogLines(StartupTaint.class);
    /** The patches that were sent. Added to on the server's event loop. */
    private final List<JsonArray> patches = new CopyOnWriteArrayList<>();
    private volatile boolean serving = true;
    private volatile double random;

    @AfterEach
    void close() {
        log.close();
        fixture.close();
        server.close();
    }

    @Test
    void isThereUntilTheAgentServesAndGoneThen() {
        // Given
        server.answer(node(KEY));
        serving = false;
        StartupTaint taint = start(KEY);
        advance(A_MINUTE);
        assertThat(server.received()).isEmpty();
        assertThat(pending()).isEqualTo(1);

        // When
        serving = true;
        advance(Duration.ofSeconds(1));
        untilDone();

        // Then
        assertThat(server.received()).extracting(request -> request.method() + " " + request.uri())
                .containsExactly("GET /api/v1/nodes/node-1", "PATCH /api/v1/nodes/node-1");
        assertThat(server.received().get(1).getHeader("Content-Type")).isEqualTo("application/json-patch+json");
        assertThat(log.all()).containsExactly("INFO The startup taint was removed from this node [taints=" + KEY + "]");
        assertThat(fixture.<Integer>call(pauses::pending)).isZero();
        fixture.run(taint::stop);
    }

    @Test
    void changesTheTaintsOnlyIfTheyAreStillWhatWasRead() {
        // Given
        JsonObject other = taint(UNREACHABLE, "NoExecute").put("timeAdded", "2026-01-01T00:00:00Z");
        server.answer(node(new JsonArray().add(other).add(taint(KEY, "NoSchedule").put("value", "x"))));

        // When
        start(KEY);
        untilDone();

        // Then
        assertThat(patches).containsExactly(new JsonArray("""
                [{"op": "test", "path": "/spec/taints", "value": [
                    {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute", "timeAdded": "2026-01-01T00:00:00Z"},
                    {"key": "agent.example.com/not-ready", "effect": "NoSchedule", "value": "x"}]},
                 {"op": "replace", "path": "/spec/taints", "value": [
                    {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute", "timeAdded": "2026-01-01T00:00:00Z"}]}]
                """));
    }

    @Test
    void leavesNoEmptyListBehind() {
        server.answer(node(KEY));

        start(KEY);
        untilDone();

        assertThat(patches).containsExactly(new JsonArray("""
                [{"op": "test", "path": "/spec/taints", "value": [
                    {"key": "agent.example.com/not-ready", "effect": "NoSchedule"}]},
                 {"op": "remove", "path": "/spec/taints"}]
                """));
    }

    @ParameterizedTest
    @CsvSource({
        // key, taints of the node, taints that remain
        "a.example/x, a.example/x b.example/x, b.example/x",
        "a.example/x, a.example/x2 a.example/x, a.example/x2",
        "a.example/x, b.example/x a.example/x c.example/x, b.example/x c.example/x",
        "a.example/, a.example/x a.example/y b.example/x, b.example/x",
        "a.example/, aa.example/x a.example/y, aa.example/x",
        "a.example/, a.example a.example/y, a.example",
    })
    void removesJustTheTaintsOfItsKeyOrPrefix(String key, String there, String rest) {
        // Given
        server.answer(node(there.split(" ")));

        // When
        start(key);
        untilDone();

        // Then
        assertThat(patches).hasSize(1);
        assertThat(patches.get(0).getJsonObject(1).getJsonArray("value").stream().map(one -> ((JsonObject) one).getString("key")))
                .containsExactly(rest.split(" "));
    }

    @Test
    void removesATaintOfAnyEffect() {
        server.answer(node(new JsonArray().add(taint(KEY, "NoSchedule")).add(taint(KEY, "NoExecute"))));

        start(KEY);
        untilDone();

        assertThat(patches.get(0).getJsonObject(1).getString("op")).isEqualTo("remove");
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "{\"metadata\": {\"name\": \"node-1\"}}",
        "{\"metadata\": {\"name\": \"node-1\"}, \"spec\": {}}",
        "{\"metadata\": {\"name\": \"node-1\"}, \"spec\": {\"taints\": []}}",
        "{\"metadata\": {\"name\": \"node-1\"}, \"spec\": {\"taints\": [{\"key\": \"agent.example.com/not-ready-2\"}]}}",
    })
    void isDoneOnANodeWithoutTheTaint(String node) {
        server.answer(200, node);

        start(KEY);
        untilDone();
        advance(A_MINUTE);

        assertThat(server.received()).hasSize(1);
        assertThat(log.all()).containsExactly("INFO There is no startup taint on this node [taint=" + KEY + "]");
    }

    @ParameterizedTest
    @ValueSource(ints = {409, 422})
    void readsTheNodeAgainWhenSomebodyElseHasChangedIt(int status) {
        // Given
        server.answer(inTurn(List.of(
                node(KEY),
                request -> request.response().setStatusCode(status).end(),
                node(KEY, UNREACHABLE),
                node())));
        start(KEY);
        untilPausing();

        // When
        advance(A_MINUTE);
        untilDone();

        // Then
        assertThat(server.received()).extracting(HttpServerRequest::method)
                .containsExactly(HttpMethod.GET, HttpMethod.PATCH, HttpMethod.GET, HttpMethod.PATCH);
        assertThat(patches.get(patches.size() - 1).getJsonObject(1).getJsonArray("value"))
                .isEqualTo(new JsonArray().add(taint(UNREACHABLE, "NoSchedule")));
        assertThat(log.all()).as("a conflict is not a warning").singleElement().asString().startsWith("INFO");
    }

    @Test
    void saysThatItsChangesAreRefusedOnceThatIsNoChance() {
        // Given
        server.answer(request -> {
            if (request.method().equals(HttpMethod.GET)) {
                node(KEY).accept(request);
            } else {
                request.response().setStatusCode(422).end("{\"message\":\"policy 'nodes' denied request\"}");
            }
        });
        start(KEY);

        // When
        for (int conflicts = 1; conflicts < 10; conflicts++) {
            untilPausing();
            advance(A_MINUTE);
        }

        // Then
        assertThat(log.all()).singleElement().asString()
                .startsWith("WARN The startup taint cannot be removed from this node; retrying")
                .contains("look for what keeps changing this node's taints", "\"policy 'nodes' denied request\"");
    }

    @ParameterizedTest
    @CsvSource({
        "0.0, 1000 2000 4000 8000 10000 10000 10000",
        "1.0, 500 1000 2000 4000 5000 5000 5000",
    })
    void triesForEverWithLongerPauses(double chance, String pauses) {
        // Given
        random = chance;
        server.answer(500, "");
        start(KEY);

        // Then
        int asked = 1;
        for (String pause : pauses.split(" ")) {
            untilPausing();
            advance(Duration.ofMillis(Long.parseLong(pause) - 1));
            assertThat(server.received()).hasSize(asked);
            advance(Duration.ofMillis(1));
            asked++;
            int expected = asked;
            fixture.until(() -> server.received().size() == expected);
        }
        assertThat(log.all()).containsExactly("WARN The startup taint cannot be removed from this node; retrying"
                + " [node=node-1, taint=" + KEY + ", remedy=The API server does not let the agent take a taint off this node"
                + " now: it responds with HTTP 500]");
        assertThat(pending()).isEqualTo(1);
    }

    @ParameterizedTest
    @ValueSource(strings = {"GET", "PATCH"})
    void triesAgainWhenTheApiServerHangs(String method) {
        // Given
        server.answer(request -> {
            if (!request.method().name().equals(method)) {
                node(KEY).accept(request);
            }
        });
        start(KEY);
        fixture.until(() -> !server.received().isEmpty() && last().method().name().equals(method));

        // When
        server.answer(node(KEY));
        fixture.advance(ApiServer.TIMEOUT);
        untilPausing();
        advance(A_MINUTE);

        // Then
        untilDone();
    }

    @ParameterizedTest
    @ValueSource(strings = {"GET", "PATCH"})
    void isGoneWithinSecondsOnceAnApiServerThatHasJustStartedAllowsIt(String method) {
        // Given
        refuse(method);
        start(KEY);
        untilPausing();
        advance(Duration.ofSeconds(1));
        untilPausing();

        // When
        server.answer(node(KEY));
        advance(Duration.ofSeconds(2));

        // Then
        untilDone();
        assertThat(log.all()).singleElement().asString().startsWith("INFO");
    }

    @ParameterizedTest
    @ValueSource(strings = {"GET", "PATCH"})
    void namesTheRuleThatIsMissingOnceAndTriesAgainAfterTenMinutesInTheEnd(String method) {
        // Given
        refuse(method);
        start(KEY);
        for (int refusals = 1; refusals <= RefusalBackoff.BELIEVED; refusals++) {
            untilPausing();
            assertThat(log.all()).hasSize(refusals < 3 ? 0 : 1);
            int asked = server.received().size();
            advance(RefusalBackoff.pause(refusals, 0).minusMillis(1));
            assertThat(server.received()).hasSize(asked);
            if (refusals < RefusalBackoff.BELIEVED) {
                advance(Duration.ofMillis(1));
                fixture.until(() -> server.received().size() > asked);
            }
        }
        assertThat(log.all()).singleElement().asString().contains(
                "The agent may not take a taint off this node (HTTP 403): give its service account a role with"
                        + " apiGroups \"\", resources nodes with the verbs get and patch");

        // When: the role is granted
        server.answer(node(KEY));
        advance(Duration.ofMillis(1));

        // Then
        untilDone();
    }

    private void refuse(String method) {
        server.answer(request -> {
            if (request.method().name().equals(method)) {
                request.response().setStatusCode(403).end("{\"kind\":\"Status\"}");
            } else {
                node(KEY).accept(request);
            }
        });
    }

    @Test
    void saysToCheckTheNameOfANodeThatIsNotThere() {
        // Given
        server.answer(404, "{\"kind\":\"Status\"}");
        start(KEY);
        untilPausing();
        assertThat(log.all()).containsExactly("WARN The startup taint cannot be removed from this node; retrying"
                + " [node=node-1, taint=" + KEY + ", remedy=The API server has no node of this name (HTTP 404): check that the"
                + " environment variable NODE_NAME is spec.nodeName of the agent's pod]");

        // When: the node registers late
        server.answer(node(KEY));
        advance(Duration.ofSeconds(1));

        // Then
        untilDone();
    }

    static Stream<String> uselessAnswers() {
        return Stream.of(
                "",
                "[]",
                "null",
                "{\"metadata\": ",
                "{}",
                "{\"metadata\": \"node-1\"}",
                "{\"metadata\": {\"name\": \"node-2\"}, \"spec\": {\"taints\": [{\"key\": \"" + KEY + "\"}]}}",
                "{\"metadata\": {\"name\": \"node-1\"}, \"spec\": {\"taints\": \"" + KEY + "\"}}",
                "{\"metadata\": {\"name\": \"node-1\"}, \"spec\": {\"taints\": {\"key\": \"" + KEY + "\"}}}",
                "{\"metadata\": {\"name\": \"node-1\"}, \"spec\": {\"taints\": [{\"key\": \"" + KEY + "\"}, null]}}",
                "{\"metadata\": {\"name\": \"node-1\"}, \"spec\": {\"taints\": [{\"key\": \"" + KEY + "\"}, {\"key\": 1}]}}",
                "{\"metadata\": {\"name\": \"node-1\"}, \"spec\": {\"taints\": [{\"key\": \"" + KEY + "\"}, \"" + KEY + "\"]}}");
    }

    @ParameterizedTest
    @MethodSource("uselessAnswers")
    void changesNothingByAnAnswerThatItCannotRead(String answer) {
        // Given
        server.answer(200, answer);
        start(KEY);
        untilPausing();
        assertThat(server.received()).hasSize(1);
        assertThat(log.all()).singleElement().asString().startsWith("WARN");

        // When
        server.answer(node(KEY));
        advance(A_MINUTE);

        // Then
        untilDone();
    }

    @Test
    void leavesTheTaintWhenTheAgentCeasesToServeInBetween() {
        // Given
        server.answer(request -> {
            serving = false;
            node(KEY).accept(request);
        });
        start(KEY);
        untilPausing();
        assertThat(server.received()).hasSize(1);

        // When
        advance(A_MINUTE);
        assertThat(server.received()).hasSize(1);
        server.answer(node(KEY));
        serving = true;
        advance(Duration.ofSeconds(1));

        // Then
        untilDone();
        assertThat(patches).hasSize(1);
    }

    @Test
    void beginsNothingOnceItIsStopped() {
        // Given
        server.answer(request -> {});
        StartupTaint taint = start(KEY);
        fixture.until(() -> server.received().size() == 1);

        // When
        fixture.run(taint::stop);
        fixture.advance(ApiServer.TIMEOUT);

        // Then
        fixture.until(() -> fixture.time.pending() == 0 && pauses.pending() == 0);
        advance(A_MINUTE);
        assertThat(server.received()).hasSize(1);
        assertThat(log.all()).isEmpty();
    }

    @Test
    void cancelsItsTimerWhenItIsStopped() {
        serving = false;
        StartupTaint taint = start(KEY);
        assertThat(fixture.<Integer>call(pauses::pending)).isEqualTo(1);

        fixture.run(taint::stop);

        assertThat(fixture.<Integer>call(pauses::pending)).isZero();
    }

    private StartupTaint start(String key) {
        return fixture.call(() -> {
            StartupTaint taint =
                    new StartupTaint(api, NODE, key, () -> serving, metrics, pauses, () -> random);
            taint.start();
            return taint;
        });
    }

    /** Serves a node with taints that have these keys, and accepts any patch. */
    private Consumer<HttpServerRequest> node(String... keys) {
        JsonArray taints = new JsonArray();
        Stream.of(keys).forEach(key -> taints.add(taint(key, "NoSchedule")));
        return node(taints);
    }

    private Consumer<HttpServerRequest> node(JsonArray taints) {
        Buffer node = new JsonObject()
                .put("kind", "Node")
                .put("metadata", new JsonObject().put("name", NODE))
                .put("spec", new JsonObject().put("taints", taints))
                .toBuffer();
        return request -> request.body().onSuccess(body -> {
            if (request.method().equals(HttpMethod.PATCH)) {
                patches.add(body.toJsonArray());
            }
            request.response().end(node);
        });
    }

    private static JsonObject taint(String key, String effect) {
        return new JsonObject().put("key", key).put("effect", effect);
    }

    /** Responds to each request with the next of these responses. */
    private static Consumer<HttpServerRequest> inTurn(List<Consumer<HttpServerRequest>> answers) {
        Iterator<Consumer<HttpServerRequest>> next = answers.iterator();
        return request -> next.next().accept(request);
    }

    private HttpServerRequest last() {
        return server.received().get(server.received().size() - 1);
    }

    private double pending() {
        return registry.get("pod_identity_startup_taint_pending").gauge().value();
    }

    private void advance(Duration duration) {
        fixture.run(() -> pauses.advance(duration));
    }

    private void untilDone() {
        fixture.until(() -> pending() == 0);
    }

    /** Waits until the current attempt has ended and the next one is scheduled. */
    private void untilPausing() {
        fixture.until(() -> pauses.pending() == 1);
    }
}
