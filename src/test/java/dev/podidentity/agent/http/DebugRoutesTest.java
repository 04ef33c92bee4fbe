package dev.podidentity.agent.http;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;

import dev.podidentity.agent.config.CoalesceScope;
import dev.podidentity.agent.credentials.Caller;
import dev.podidentity.agent.credentials.CredentialService;
import dev.podidentity.agent.credentials.CredentialSettings;
import dev.podidentity.agent.eksauth.EksAuthAnswer;
import dev.podidentity.agent.eksauth.IssuedCredentials;
import dev.podidentity.agent.loop.EventLoop;
import dev.podidentity.agent.loop.SourceRateLimit;
import dev.podidentity.agent.observe.BuildInfo;
import dev.podidentity.agent.observe.Limit;
import dev.podidentity.agent.observe.LimitReport;
import dev.podidentity.agent.observe.Metrics;
import dev.podidentity.agent.testing.Tokens;
import dev.podidentity.agent.token.NotVerified;
import dev.podidentity.agent.verification.LivingPods;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.netty.channel.Channel;
import io.vertx.core.Vertx;
import io.vertx.core.VertxOptions;
import io.vertx.core.http.HttpServer;
import io.vertx.core.http.HttpServerOptions;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import io.vertx.core.net.SocketAddress;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Supplier;
import java.util.logging.Level;
import java.util.logging.Logger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(300)
class DebugRoutesTest {

    private static final Instant NOW = Instant.parse("2026-03-01T12:00:00Z");
    private static final int MANY = 4_000;
    private static final int AT_ONCE = 500;
    /** Small, so that the kernel does not accept everything at once. */
    private static final int SMALL_BUFFER = 4 * 1024;
    /** Vert.x's high-water mark, and one part beyond it. */
    private static final long MOST_BYTES_ON_THE_WAY = 128 * 1024;

    private final Vertx vertx = Vertx.vertx(new VertxOptions().setEventLoopPoolSize(1));
    private final EventLoop loop = new EventLoop(vertx, vertx.getOrCreateContext());
    private final Clock clock = Clock.fixed(NOW, ZoneOffset.UTC);
    private final Metrics metrics = new Metrics(new SimpleMeterRegistry(), new BuildInfo("test"), clock);
    private final AtomicLong nanos = new AtomicLong();
    private final LimitReport limits = new LimitReport(metrics, nanos::get);
    private final SourceRateLimit rate = new SourceRateLimit(5, 10);
    private final EksAuthAnswer issued = new IssuedCredentials("ASIAKEY", "s3cret", "session", "123456789012",
            NOW.plusSeconds(21_600), "shop", "cart", "arn:aws:sts::123456789012:assumed-role/shop/cart", "a-1");
    private final CredentialService credentials = new CredentialService(
            token -> CompletableFuture.completedFuture(issued),
            new CredentialSettings(Duration.ofHours(3), MANY, 3, 100, Duration.ofSeconds(15)),
            LivingPods.UNWATCHED,
            metrics,
            limits,
            clock,
            nanos::get,
            loop,
            () -> 0.5);
    private final AtomicReference<Channel> lastChannel = new AtomicReference<>();
    private HttpServer server;
    /** Otherwise thousands of calls would each log a line. */
    private final Logger log = Logger.getLogger("dev.podidentity.agent");
    private Level level;

    @BeforeEach
    void listen() {
        level = log.getLevel();
        log.setLevel(Level.OFF);
        DebugRoutes routes = new DebugRoutes(
                credentials, limits, rate, request -> request.response().setStatusCode(418).end(), vertx, nanos::get);
        CompletableFuture<HttpServer> listening = new CompletableFuture<>();
        loop.execute(() -> vertx.createHttpServer(new HttpServerOptions().setSendBufferSize(SMALL_BUFFER))
                .connectionHandler(connection -> lastChannel.set(OperationsConnection.channel(connection)))
                .requestHandler(routes::handle)
                .listen(0, "127.0.0.1")
                .onSuccess(listening::complete)
                .onFailure(listening::completeExceptionally));
        server = listening.join();
    }

    @AfterEach
    void close() {
        vertx.close().toCompletionStage().toCompletableFuture().join();
        log.setLevel(level);
    }

    @Test
    void showsAnEmptyCache() throws IOException {
        assertThat(get("/debug/entries").json()).isEqualTo(new JsonObject().put("entries", new JsonArray()));
        assertThat(get("/debug/sources").json()).isEqualTo(new JsonObject().put("sources", new JsonArray()));
    }

    @Test
    void showsAnEntryWithoutItsSecrets() throws IOException {
        // Given
        fill(1);
        fill(1);
        // When
        Answer answer = get("/debug/entries");
        // Then
        assertThat(answer.head()).startsWith("HTTP/1.1 200 ").contains("application/json", "no-store");
        assertThat(answer.json()).isEqualTo(new JsonObject().put("entries", new JsonArray().add(new JsonObject()
                .put("namespace", "shop")
                .put("serviceAccount", "cart")
                .put("podName", "pod-0")
                .put("podUid", "pod-uid")
                .put("pods", 1)
                .put("role", "arn:aws:sts::123456789012:assumed-role/shop/cart")
                .put("expiration", "2026-03-01T18:00:00Z")
                .put("nextRenewal", "2026-03-01T15:00:00Z")
                .put("hits", 1))));
    }

    @Test
    void showsThousandsOfEntriesOfWhichLittleIsOnTheWayAtOnce() throws IOException {
        // Given
        fill(MANY);
        try (Socket socket = new Socket()) {
            // When: a client does not read for a while
            socket.setReceiveBufferSize(SMALL_BUFFER);
            socket.connect(new InetSocketAddress("127.0.0.1", server.actualPort()));
            socket.getOutputStream().write(request("/debug/entries"));
            long most = 0;
            for (int i = 0; i < 200; i++) {
                most = Math.max(most, onTheWay(lastChannel.get()));
                assertThat(onLoop(() -> "the loop goes on")).isEqualTo("the loop goes on");
            }
            Answer answer = read(socket);
            // Then
            assertThat(most).isPositive().isLessThan(MOST_BYTES_ON_THE_WAY);
            assertThat(answer.json().getJsonArray("entries")).hasSize(MANY);
            assertThat(answer.json().getJsonArray("entries").stream()
                            .map(entry -> ((JsonObject) entry).getString("podName"))
                            .distinct())
                    .hasSize(MANY);
        }
    }

    @Test
    void aClientThatLeavesEndsItsAnswerOnly() throws IOException {
        // Given
        fill(MANY);
        Socket socket = new Socket("127.0.0.1", server.actualPort());
        socket.getOutputStream().write(request("/debug/entries"));
        // When
        socket.close();
        // Then
        assertThat(get("/debug/entries").json().getJsonArray("entries")).hasSize(MANY);
    }

    @Test
    void showsTheSourcesThatALimitTurnedAway() throws IOException {
        // Given
        onLoop(() -> {
            for (int i = 0; i < 8; i++) {
                rate.allows("10.0.1.17", nanos.get());
            }
            limits.rejected(Limit.SOURCE_REQUESTS, "10.0.1.17");
            limits.rejected(Limit.SOURCE_REQUESTS, "10.0.1.17");
            limits.rejected(Limit.HEADERS, "10.0.1.17");
            return 0;
        });
        // When
        JsonObject now = get("/debug/sources").json();
        nanos.addAndGet(Duration.ofSeconds(11).toNanos());
        JsonObject later = get("/debug/sources").json();
        // Then
        assertThat(now.getJsonArray("sources")).isEqualTo(new JsonArray().add(new JsonObject()
                .put("address", "10.0.1.17")
                .put("limited", true)
                .put("refused", 3)
                .put("refusedByLimit", new JsonObject().put("source_requests", 2).put("headers", 1))
                .put("secondsSinceRefused", 0)
                .put("requestsLeft", 2)));
        assertThat(later.getJsonArray("sources").getJsonObject(0).getMap())
                .containsEntry("limited", false)
                .containsEntry("secondsSinceRefused", 11)
                .containsEntry("requestsLeft", 10);
    }

    @ParameterizedTest
    @CsvSource({"POST, /debug/entries, 405", "HEAD, /debug/sources, 405", "GET, /debug/other, 418", "GET, //debug/entries, 418",
            "GET, /%64ebug/entries, 418", "GET, /x/../debug/entries, 418", "GET, /debug/entries/, 418", "GET, /healthz, 418"})
    void answersGetOfTheseTwoPathsAsTheyStandAndNothingElse(String method, String path, int status) throws IOException {
        // Given
        fill(1);
        // When
        Answer answer = ask(method + ' ' + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        // Then
        assertThat(answer.head()).startsWith("HTTP/1.1 " + status + ' ');
        assertThat(answer.text()).doesNotContain("shop");
    }

    @Test
    void doesNotAnswerAVersionWithoutChunks() throws IOException {
        assertThat(ask("GET /debug/entries HTTP/1.0\r\n\r\n").head()).contains(" 505 ");
    }

    @ParameterizedTest
    @ValueSource(strings = {"127.0.0.1", "127.8.9.10", "::1", "0:0:0:0:0:0:0:1"})
    void takesLoopbackForThisNode(String address) {
        assertThat(DebugRoutes.local(SocketAddress.inetSocketAddress(2703, address))).isTrue();
    }

    @ParameterizedTest
    @ValueSource(strings = {"10.0.0.7", "169.254.170.23", "fd00:ec2::23", "0.0.0.0", "::", "fe80::1", "localhost.example.com"})
    void takesNothingElseForThisNode(String address) {
        assertThat(DebugRoutes.local(SocketAddress.inetSocketAddress(2703, address))).isFalse();
    }

    @Test
    void takesNoSocketWithoutAnAddressForThisNode() {
        assertThat(DebugRoutes.local(null)).isFalse();
        assertThat(DebugRoutes.local(SocketAddress.domainSocketAddress("/tmp/socket"))).isFalse();
    }

    /** Has this many pods request credentials once, with fewer concurrent requests than may wait for a call. */
    private void fill(int pods) {
        for (int from = 0; from < pods; from += AT_ONCE) {
            int to = Math.min(pods, from + AT_ONCE);
            CountDownLatch answered = new CountDownLatch(to - from);
            int first = from;
            loop.execute(() -> IntStream.range(first, to).forEach(i -> credentials.request(
                    Caller.of(Tokens.read(NOW, "pod-" + i), new NotVerified(NotVerified.Reason.OFF), CoalesceScope.TOKEN),
                    "10.0." + i / 256 + '.' + i % 256,
                    Duration.ofSeconds(60),
                    Duration.ZERO,
                    outcome -> answered.countDown())));
            assertThatCode(answered::await).doesNotThrowAnyException();
        }
    }

    private long onTheWay(Channel channel) {
        return onLoop(() -> channel == null || channel.unsafe().outboundBuffer() == null
                ? 0L
                : channel.unsafe().outboundBuffer().totalPendingWriteBytes());
    }

    private <T> T onLoop(Supplier<T> task) {
        CompletableFuture<T> done = new CompletableFuture<>();
        loop.execute(() -> done.complete(task.get()));
        return done.join();
    }

    private static byte[] request(String path) {
        return ("GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").getBytes(StandardCharsets.US_ASCII);
    }

    private Answer get(String path) throws IOException {
        return ask(new String(request(path), StandardCharsets.US_ASCII));
    }

    private Answer ask(String request) throws IOException {
        try (Socket socket = new Socket("127.0.0.1", server.actualPort())) {
            socket.getOutputStream().write(request.getBytes(StandardCharsets.US_ASCII));
            return read(socket);
        }
    }

    private static Answer read(Socket socket) throws IOException {
        StringBuilder head = new StringBuilder();
        StringBuilder text = new StringBuilder();
        BufferedReader reader =
                new BufferedReader(new InputStreamReader(socket.getInputStream(), StandardCharsets.ISO_8859_1));
        for (String line = reader.readLine(); line != null && !line.isEmpty(); line = reader.readLine()) {
            head.append(line).append('\n');
        }
        boolean chunked = head.toString().contains("chunked");
        for (String line = reader.readLine(); chunked && line != null; line = reader.readLine()) {
            char[] chunk = new char[Integer.parseInt(line, 16)];
            int have = 0;
            while (have < chunk.length) {
                have += reader.read(chunk, have, chunk.length - have);
            }
            text.append(chunk);
            reader.readLine();
        }
        return new Answer(head.toString(), text.toString());
    }

    private record Answer(String head, String text) {

        JsonObject json() {
            return new JsonObject(text);
        }
    }
}
