package dev.podidentity.agent.http;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.loop.EventLoop;
import dev.podidentity.agent.observe.Limit;
import dev.podidentity.agent.testing.LogLines;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import java.net.Socket;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/** Connections whose requests the agent handles without Vert.x. */
class CredentialsConnectionTest extends ClientConnectionContract {

    private static final Duration LONG = Duration.ofMinutes(5);
    private static final String NUMBERED = "GET /%d HTTP/1.1\r\n\r\n";

    private final AtomicInteger abandoned = new AtomicInteger();
    private final List<String> handled = new CopyOnWriteArrayList<>();
    /** Keeps responses for later. Confined to the event loop. */
    private final List<Runnable> later = new ArrayList<>();
    private volatile Duration idleTimeout = LONG;
    private volatile boolean lastAnswer;
    private volatile Optional<RuntimeException> fault = Optional.empty();
    private EventLoop onLoop;

    @Override
    Future<Integer> serve(EventLoop loop, Vertx vertx, Connections connections) {
        onLoop = loop;
        return new CredentialsAcceptor(
                        loop,
                        host -> Future.failedFuture(host + " is not an address"),
                        connections,
                        this::handle,
                        Optional.empty(),
                        idleTimeout)
                .listen("127.0.0.1", 0, () -> { })
                .map(Acceptor.Accepting::port);
    }

    private void handle(HeadDecoder.Head head, CredentialsConnection client) {
        fault.ifPresent(thrown -> {
            throw thrown;
        });
        handled.add(head.request().uri());
        client.waits(abandoned::incrementAndGet);
        int status = head.failure() == null ? 200 : ErrorAnswer.ofUnreadable(head.failure()).status();
        Runnable answer = () -> {
            boolean last = head.isLast() || lastAnswer;
            client.answer(
                    Responses.of(client.buffers(), head.request(), status, "", last, body.getBytes(ISO_8859_1)), last);
        };
        if (answering || status != 200) {
            answer.run();
        } else {
            later.add(answer);
        }
    }

    @Test
    void abandonsARequestWhoseClientGoesAndNoneThatWasAnswered() throws Exception {
        // Given
        listen(LIMITS);
        try (Socket answered = connect(FIRST)) {
            send(answered, REQUEST);
            answer(answered);
        }
        awaitNobody();
        assertThat(abandoned).hasValue(0);
        answering = false;
        // When
        try (Socket waiting = connect(FIRST)) {
            send(waiting, REQUEST);
            awaitHeld(OVERHEAD);
        }
        awaitNobody();
        // Then
        assertThat(abandoned).hasValue(1);
        assertNothingIsHeld();
    }

    @Test
    void abandonsTheRequestWhoseTurnItIsOfThoseThatWait() throws Exception {
        // Given
        listen(AMPLE);
        answering = false;
        try (Socket socket = connect(FIRST)) {
            // When
            send(socket, REQUEST.repeat(ConnectionLimits.MOST_UNANSWERED + 1));
            // Then
            assertThat(rest(socket)).isEmpty();
        }
        assertThat(rejected(Limit.PIPELINED_REQUESTS)).isEqualTo(1);
        awaitNobody();
        assertThat(abandoned).hasValue(1);
        assertThat(handled).hasSize(1);
        assertNothingIsHeld();
    }

    @Test
    void handlesRequestsThatAreSentTogetherOneAfterAnotherInTheirOrder() throws Exception {
        // Given
        listen(AMPLE);
        answering = false;
        try (Socket socket = connect(FIRST)) {
            send(socket, NUMBERED.formatted(1) + NUMBERED.formatted(2) + NUMBERED.formatted(3));
            awaitHeld(3 * OVERHEAD);
            assertThat(handled).containsExactly("/1");
            // When
            answering = true;
            answerWhatWaits();
            // Then
            for (int i = 0; i < 3; i++) {
                assertThat(answer(socket)).startsWith("HTTP/1.1 200 OK\r\n");
            }
            assertThat(handled).containsExactly("/1", "/2", "/3");
            assertNothingIsHeld();
        }
    }

    @Test
    void answersNothingAfterALastAnswerAndHoldsNothingOfWhatWasSentAfterIt() throws Exception {
        // Given
        listen(AMPLE);
        answering = false;
        try (Socket socket = connect(FIRST)) {
            send(socket, NUMBERED.formatted(1) + NUMBERED.formatted(2) + NUMBERED.formatted(3));
            awaitHeld(3 * OVERHEAD);
            // When
            lastAnswer = true;
            answering = true;
            answerWhatWaits();
            // Then
            assertThat(rest(socket)).contains("connection: close").endsWith("ok").containsOnlyOnce("HTTP/1.1");
            assertThat(handled).containsExactly("/1");
            assertNothingIsHeld();
        }
    }

    @Test
    void closesAConnectionOnWhichNothingMoves() throws Exception {
        // Given
        idleTimeout = Duration.ofMillis(50);
        listen(LIMITS);
        try (Socket socket = connect(FIRST)) {
            send(socket, REQUEST);
            // Then
            assertThat(rest(socket)).endsWith("ok");
        }
        awaitNobody();
    }

    @Test
    void closesTheConnectionOfARequestThatCannotBeHandledAndServesOthers() throws Exception {
        // Given
        listen(LIMITS);
        fault = Optional.of(new IllegalStateException("a fault of the agent"));
        try (LogLines log = new LogLines(CredentialsConnection.class); Socket socket = connect(FIRST)) {
            // When
            send(socket, REQUEST);
            // Then
            assertThat(rest(socket)).isEmpty();
            assertThat(log.all()).singleElement().asString().contains("could not be handled");
        }
        awaitNobody();
        assertNothingIsHeld();
        fault = Optional.empty();
        try (Socket socket = connect(FIRST)) {
            send(socket, REQUEST);
            assertThat(answer(socket)).startsWith("HTTP/1.1 200");
        }
    }

    @Test
    void keepsAConnectionOfHttp10OpenForAClientThatAsksForIt() throws Exception {
        // Given
        listen(LIMITS);
        try (Socket socket = connect(FIRST)) {
            for (int i = 0; i < 2; i++) {
                // When
                send(socket, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
                // Then
                assertThat(answer(socket)).startsWith("HTTP/1.0 200 OK\r\n").contains("connection: keep-alive\r\n");
            }
            // When
            send(socket, "GET / HTTP/1.0\r\n\r\n");
            // Then
            assertThat(rest(socket)).startsWith("HTTP/1.0 200 OK\r\n").contains("connection: close\r\n").endsWith("ok");
        }
    }

    @Test
    void answersAHeadWithTheLengthOfTheBodyAndWithoutIt() throws Exception {
        // Given
        listen(LIMITS);
        try (Socket socket = connect(FIRST)) {
            // When
            send(socket, "HEAD / HTTP/1.1\r\nConnection: close\r\n\r\n");
            // Then
            assertThat(rest(socket)).contains("content-length: 2\r\n").endsWith("\r\n\r\n");
        }
    }

    private void answerWhatWaits() {
        onLoop.execute(() -> {
            List<Runnable> answers = List.copyOf(later);
            later.clear();
            answers.forEach(Runnable::run);
        });
    }
}
