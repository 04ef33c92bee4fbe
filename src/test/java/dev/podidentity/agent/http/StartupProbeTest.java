package dev.podidentity.agent.http;

import static org.assertj.core.api.Assertions.assertThat;

import io.vertx.core.Vertx;
import io.vertx.core.http.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.util.ArrayDeque;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class StartupProbeTest {

    private static final String NAMESPACE = "pid:[4026531836]";

    private final Vertx vertx = Vertx.vertx();
    private final Queue<Integer> statuses = new ArrayDeque<>();
    private final List<String> asked = new CopyOnWriteArrayList<>();

    @AfterEach
    void close() {
        vertx.close().toCompletionStage().toCompletableFuture().join();
    }

    @Test
    void asksTheAgentOfItsOwnNamespace() {
        // When
        assertThat(StartupProbe.ask(answering(200), NAMESPACE)).isEmpty();
        // Then
        assertThat(asked).containsExactly("/healthz " + NAMESPACE);
    }

    @Test
    void asksAgainWhenAnotherAgentGotTheConnection() {
        assertThat(StartupProbe.ask(answering(421, 421, 200), NAMESPACE)).isEmpty();
        assertThat(asked).hasSize(3);
    }

    @Test
    void endsWhenOnlyAnotherAgentAnswers() {
        assertThat(StartupProbe.ask(answering(), NAMESPACE)).hasValueSatisfying(problem ->
                assertThat(problem).contains("another agent serves"));
        assertThat(asked).hasSize(20);
    }

    @ParameterizedTest
    @ValueSource(ints = {404, 429, 503})
    void takesNoOtherAnswerForGood(int status) {
        assertThat(StartupProbe.ask(answering(status, 200), NAMESPACE)).hasValueSatisfying(problem ->
                assertThat(problem).contains("HTTP " + status));
    }

    @Test
    void asksAnyAgentWhetherItIsReady() {
        assertThat(StartupProbe.askWhetherReady(answering(200))).isEmpty();
        assertThat(asked).containsExactly("/readyz null");
    }

    @Test
    void findsThatAnAgentIsNotReady() {
        assertThat(StartupProbe.askWhetherReady(answering(503, 200))).hasValueSatisfying(problem ->
                assertThat(problem).contains("HTTP 503"));
    }

    @Test
    void findsThatNobodyListens() throws IOException {
        // Given
        int port;
        try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            port = free.getLocalPort();
        }
        // Then
        assertThat(StartupProbe.ask(port, NAMESPACE)).hasValueSatisfying(problem ->
                assertThat(problem).contains("does not listen"));
    }

    /** Responds with these statuses in turn, and then with 421 for another agent. */
    private int answering(Integer... given) {
        statuses.addAll(List.of(given));
        HttpServer server = vertx.createHttpServer().requestHandler(request -> {
            asked.add(request.path() + " " + request.getParam("namespace"));
            Integer status = statuses.poll();
            request.response().setStatusCode(status == null ? StartupProbe.MISDIRECTED : status).end();
        });
        return server.listen(0, "127.0.0.1").toCompletionStage().toCompletableFuture().join().actualPort();
    }
}
