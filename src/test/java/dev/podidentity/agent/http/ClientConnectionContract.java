package dev.podidentity.agent.http;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.loop.EventLoop;
import dev.podidentity.agent.observe.BuildInfo;
import dev.podidentity.agent.observe.Limit;
import dev.podidentity.agent.observe.LimitReport;
import dev.podidentity.agent.observe.Metrics;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.VertxOptions;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketException;
import java.time.Clock;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What a client may leave unfinished, tested over real connections, for both kinds of connections. */
@Timeout(60)
abstract class ClientConnectionContract {

    static final int OVERHEAD = 1_000;
    static final ConnectionLimits LIMITS = new ConnectionLimits(
            100, 50, false, 4_000, 18_000, 10_000, 2_500, OVERHEAD, Duration.ofSeconds(30));
    static final ConnectionLimits AMPLE =
            new ConnectionLimits(100, 50, false, 4_000, 200_000, 200_000, 2_500, OVERHEAD, Duration.ofSeconds(30));
    static final String HEAD = "GET / HTTP/1.1\r\n";
    static final String REQUEST = HEAD + "\r\n";
    private static final int PATIENCE_MILLIS = 10_000;
    static final String FIRST = "127.0.0.2";
    static final String SECOND = "127.0.0.3";
    static final String THIRD = "127.0.0.4";

    private final Vertx vertx = Vertx.vertx(new VertxOptions().setEventLoopPoolSize(1));
    private final EventLoop loop = new EventLoop(vertx, vertx.getOrCreateContext());
    private final SimpleMeterRegistry registry = new SimpleMeterRegistry();
    private final Metrics metrics = new Metrics(registry, new BuildInfo("test"), Clock.systemUTC());
    private volatile Connections connections;
    private int port;
    volatile boolean answering = true;
    volatile String body = "ok";

    @AfterEach
    void close() {
        vertx.close().toCompletionStage().toCompletableFuture().join();
    }

    @Test
    void closesAConnectionWhoseUnfinishedHeadIsBeyondTheShareOfItsSource() throws Exception {
        // Given
        listen(LIMITS);
        try (Socket one = connect(FIRST); Socket two = connect(FIRST); Socket three = connect(FIRST)) {
            // When
            send(one, HEAD + "A: " + "x".repeat(3_900));
            send(two, HEAD + "A: " + "x".repeat(3_900));
            awaitHeld(7_800);
            send(three, HEAD + "A: " + "x".repeat(3_900));
            // Then
            assertThat(rest(three)).isEmpty();
            assertThat(rejected(Limit.REQUEST_BYTES)).isEqualTo(1);
        }
        awaitNobody();
        try (Socket next = connect(FIRST)) {
            // Then: the budget is released
            send(next, HEAD + "A: " + "x".repeat(3_900) + "\r\n\r\n");
            assertThat(answer(next)).startsWith("HTTP/1.1 200");
        }
        assertNothingIsHeld();
    }

    @Test
    void letsNobodyTakeWhatIsReservedForAnother() throws Exception {
        // Given: two sources that use up the whole budget
        listen(LIMITS);
        try (Socket one = connect(FIRST); Socket two = connect(FIRST); Socket three = connect(SECOND);
                Socket four = connect(SECOND); Socket five = connect(THIRD); Socket six = connect(THIRD)) {
            for (Socket socket : new Socket[] {one, two, three, four}) {
                send(socket, HEAD + "A: " + "x".repeat(3_900));
            }
            awaitHeld(15_600);
            // When
            send(five, REQUEST);
            // Then
            assertThat(answer(five)).startsWith("HTTP/1.1 200");
            send(six, HEAD + "A: " + "x".repeat(3_900));
            assertThat(rest(six)).as("beyond its reserve").isEmpty();
        }
    }

    @Test
    void turnsAWholeRequestAwayThatIsBeyondTheShareOfItsSource() throws Exception {
        // Given
        listen(LIMITS);
        answering = false;
        try (Socket one = connect(FIRST)) {
            send(one, REQUEST.repeat(7));
            awaitHeld(7 * OVERHEAD);
            // When
            try (Socket two = connect(FIRST)) {
                send(two, HEAD + "A: " + "x".repeat(1_000) + "\r\n\r\n" + REQUEST);
                // Then
                assertThat(rest(two)).startsWith("HTTP/1.1 503").contains("connection: close").doesNotContain("200");
            }
        }
        assertThat(rejected(Limit.REQUEST_BYTES)).isEqualTo(1);
        assertNothingIsHeld();
    }

    @Test
    void paysForARequestUntilItsAnswerIsSentAndNotLonger() throws Exception {
        // Given
        listen(LIMITS);
        try (Socket socket = connect(FIRST)) {
            // When: in total, many times the share
            for (int i = 0; i < 100; i++) {
                send(socket, HEAD + "A: " + "x".repeat(1_000) + "\r\n\r\n");
                assertThat(answer(socket)).startsWith("HTTP/1.1 200");
            }
            // Then
            assertThat(rejected(Limit.REQUEST_BYTES)).isZero();
            assertNothingIsHeld();
        }
    }

    @Test
    void answersAsManyRequestsAsAreSentTogetherIfItCanAtOnce() throws Exception {
        // Given
        listen(AMPLE);
        try (Socket socket = connect(FIRST)) {
            // When
            send(socket, REQUEST.repeat(100));
            // Then
            for (int i = 0; i < 100; i++) {
                assertThat(answer(socket)).startsWith("HTTP/1.1 200");
            }
        }
    }

    @Test
    void closesAConnectionWithTooManyRequestsThatWait() throws Exception {
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
        assertNothingIsHeld();
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "Content-Length: 40", "Transfer-Encoding: chunked", "Transfer-Encoding: xchunked", "Connection: close", "Connection:"
                + " x, close",
        "Sec-WebSocket-Key1: 1\r\nSec-WebSocket-Key2: 2", "no colon"
    })
    void readsNothingAfterARequestThatIsTheLastOrHasABody(String header) throws Exception {
        // Given
        listen(LIMITS);
        try (Socket socket = connect(FIRST)) {
            // When
            send(socket, REQUEST + HEAD + header + "\r\n\r\n" + REQUEST + REQUEST);
            // Then
            String answers = rest(socket);
            assertThat(answers.split("HTTP/1.1 ", -1)).hasSize(3);
            assertThat(answers.substring(answers.lastIndexOf("HTTP/1.1"))).containsIgnoringCase("connection: close");
        }
        awaitNobody();
        assertNothingIsHeld();
    }

    @Test
    void timesAHeadThatIsBegunWhileAnotherRequestWaits() throws Exception {
        // Given
        listen(new ConnectionLimits(100, 50, false, 4_000, 20_000, 10_000, 2_500, OVERHEAD, Duration.ofMillis(200)));
        answering = false;
        try (Socket socket = connect(FIRST)) {
            // When
            send(socket, REQUEST + "GET");
            // Then
            assertThat(rest(socket)).isEmpty();
            assertThat(rejected(Limit.HEADER_TIME)).isEqualTo(1);
        }
    }

    @Test
    void closesAConnectionThatSendsOnAndDoesNotReadItsLastAnswer() throws Exception {
        // Given: more than the kernel buffers
        listen(new ConnectionLimits(100, 50, false, 4_000, 20_000, 10_000, 2_500, OVERHEAD, Duration.ofMillis(200)));
        body = "x".repeat(20_000_000);
        try (Socket socket = connect(FIRST)) {
            // When
            send(socket, HEAD + "Connection: close\r\n\r\n");
            awaitHeld(OVERHEAD);
            // Then
            awaitNobody();
            assertNothingIsHeld();
        }
    }

    @Test
    void givesUpAnIdleConnectionOfTheGreediestSourceAndNoneThatIsBusy() throws Exception {
        // Given
        listen(new ConnectionLimits(4, 4, false, 4_000, 20_000, 10_000, 2_500, OVERHEAD, Duration.ofSeconds(30)));
        answering = false;
        try (Socket busy = connect(FIRST)) {
            send(busy, REQUEST);
            awaitHeld(OVERHEAD);
            answering = true;
            try (Socket idle = connect(FIRST); Socket other = connect(FIRST); Socket few = connect(SECOND)) {
                for (Socket socket : new Socket[] {idle, other, few}) {
                    send(socket, REQUEST);
                    answer(socket);
                }
                // When
                try (Socket third = connect(THIRD)) {
                    send(third, REQUEST);
                    // Then
                    assertThat(answer(third)).startsWith("HTTP/1.1 200");
                    assertThat(rest(idle)).isEmpty();
                    send(other, REQUEST);
                    assertThat(answer(other)).startsWith("HTTP/1.1 200");
                    // Then: no source has two more than the next one would get
                    try (Socket another = connect(SECOND)) {
                        assertThat(rest(another)).isEmpty();
                    }
                }
            }
        }
        assertThat(rejected(Limit.CONNECTIONS)).isEqualTo(2);
        awaitNobody();
        assertNothingIsHeld();
    }

    @Test
    void givesUpTheOldestIdleConnectionOfASourceForItsNewOneWhereThatIsAllowed() throws Exception {
        // Given
        listen(new ConnectionLimits(10, 2, true, 4_000, 20_000, 10_000, 2_500, OVERHEAD, Duration.ofSeconds(30)));
        answering = false;
        try (Socket busy = connect(FIRST)) {
            send(busy, REQUEST);
            awaitHeld(OVERHEAD);
            answering = true;
            try (Socket idle = connect(FIRST)) {
                send(idle, REQUEST);
                answer(idle);
                // When
                try (Socket another = connect(FIRST)) {
                    send(another, REQUEST);
                    // Then
                    assertThat(answer(another)).startsWith("HTTP/1.1 200");
                    assertThat(rest(idle)).isEmpty();
                }
            }
        }
        assertThat(rejected(Limit.SOURCE_CONNECTIONS)).isEqualTo(1);
        awaitNobody();
        assertNothingIsHeld();
    }

    /**
     * Serves connections on a loopback port, on the event loop. Responds to every request with 200 and {@link #body} while
     * {@link #answering}, and with an error if it cannot be read.
     *
     * @return the port
     */
    abstract Future<Integer> serve(EventLoop onLoop, Vertx byVertx, Connections opened);

    final void listen(ConnectionLimits limits) {
        CompletableFuture<Integer> listening = new CompletableFuture<>();
        loop.execute(() -> {
            connections = new Connections(limits, metrics, new LimitReport(metrics, System::nanoTime));
            serve(loop, vertx, connections).onSuccess(listening::complete).onFailure(listening::completeExceptionally);
        });
        port = listening.join();
    }

    /** Waits until unfinished work is charged this many bytes. */
    final void awaitHeld(long bytes) {
        awaitOnLoop(() -> connections.held() >= bytes);
    }

    final void awaitNobody() {
        awaitOnLoop(() -> registry.get("pod_identity_connections").gauge().value() == 0);
    }

    final void assertNothingIsHeld() {
        awaitOnLoop(() -> connections.held() == 0 && connections.busy() == 0);
    }

    final void awaitOnLoop(BooleanSupplier condition) {
        CompletableFuture<Void> met = new CompletableFuture<>();
        loop.execute(() -> check(condition, met));
        met.orTimeout(PATIENCE_MILLIS, TimeUnit.MILLISECONDS).join();
    }

    private void check(BooleanSupplier condition, CompletableFuture<Void> met) {
        if (condition.getAsBoolean()) {
            met.complete(null);
        } else {
            loop.schedule(Duration.ofMillis(1), () -> check(condition, met));
        }
    }

    final double rejected(Limit limit) {
        return registry.get("pod_identity_limit_rejections").tag("limit", limit.label()).counter().count();
    }

    final Socket connect(String source) throws IOException {
        Socket socket = new Socket();
        socket.setSoTimeout(PATIENCE_MILLIS);
        socket.bind(new InetSocketAddress(source, 0));
        socket.connect(new InetSocketAddress("127.0.0.1", port), PATIENCE_MILLIS);
        return socket;
    }

    static void send(Socket socket, String text) throws IOException {
        socket.getOutputStream().write(text.getBytes(ISO_8859_1));
    }

    /** Reads one response, whose body has two bytes. */
    static String answer(Socket socket) throws IOException {
        StringBuilder answer = new StringBuilder();
        while (!answer.toString().endsWith("\r\n\r\nok")) {
            int next = socket.getInputStream().read();
            assertThat(next).as("after %s", answer).isNotNegative();
            answer.append((char) next);
        }
        return answer.toString();
    }

    /** Reads everything until the agent closes the connection. */
    static String rest(Socket socket) throws IOException {
        ByteArrayOutputStream rest = new ByteArrayOutputStream();
        try {
            for (int next = socket.getInputStream().read(); next >= 0; next = socket.getInputStream().read()) {
                rest.write(next);
            }
        } catch (SocketException e) {
            // A reset ends the connection too.
        }
        return rest.toString(ISO_8859_1);
    }
}
