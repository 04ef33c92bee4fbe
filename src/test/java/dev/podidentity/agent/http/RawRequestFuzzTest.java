package dev.podidentity.agent.http;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.api.BugDetectors;
import com.code_intelligence.jazzer.junit.FuzzTest;
import dev.podidentity.agent.config.CoalesceScope;
import dev.podidentity.agent.credentials.CredentialService;
import dev.podidentity.agent.credentials.CredentialSettings;
import dev.podidentity.agent.eksauth.EksAuthAnswer;
import dev.podidentity.agent.eksauth.IssuedCredentials;
import dev.podidentity.agent.loop.EventLoop;
import dev.podidentity.agent.loop.SourceRateLimit;
import dev.podidentity.agent.observe.BuildInfo;
import dev.podidentity.agent.observe.LimitReport;
import dev.podidentity.agent.observe.Metrics;
import dev.podidentity.agent.testing.Tokens;
import dev.podidentity.agent.token.TokenReader;
import dev.podidentity.agent.verification.LivingPods;
import dev.podidentity.agent.verification.TokenVerification;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.vertx.core.Vertx;
import io.vertx.core.VertxOptions;
import io.vertx.core.http.HttpServer;
import io.vertx.core.http.HttpServerOptions;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.net.SocketException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeAll;

/** Whatever a pod sends to a real listener, it gets an answer that an SDK can read, or none, and harms nobody else. */
class RawRequestFuzzTest {

    private static final Instant NOW = Instant.parse("2026-03-01T12:00:00Z");
    private static final Duration HEADER_TIMEOUT = Duration.ofSeconds(2);
    /** Longer than the listener waits for headers: an answer, or the end, comes before. */
    private static final Duration READ_TIMEOUT = Duration.ofSeconds(10);
    private static final Pattern STATUS_LINE = Pattern.compile("HTTP/1\\.[01] [1-4]\\d\\d [^\r\n]*\r\n");
    private static final Pattern CONTENT_TYPE = Pattern.compile("\r\ncontent-type: application/json\r\n");
    private static final String GOOD = "GET /v1/credentials HTTP/1.1\r\nHost: 169.254.170.23\r\nAuthorization: "
            + Tokens.valid(NOW, "good") + "\r\nConnection: close\r\n\r\n";

    private static HttpServer server;

    /** Not in an initializer: the event loop would wait for the class, and the class for the event loop. */
    @BeforeAll
    static void listen() {
        server = listening();
    }

    @FuzzTest(maxDuration = "60s")
    void answersAnyBytes(byte[] request) throws IOException {
        BugDetectors.allowNetworkConnections((host, port) -> port == server.actualPort());
        String answer = answer(request);
        if (!answer.isEmpty()) {
            assertThat(STATUS_LINE.matcher(answer).lookingAt()).as(answer).isTrue();
            String head = answer.substring(0, answer.indexOf("\r\n\r\n") + 2).toLowerCase(Locale.ROOT);
            assertThat(CONTENT_TYPE.matcher(head).find()).as(answer).isTrue();
        }
        assertThat(answer(GOOD.getBytes(ISO_8859_1))).startsWith("HTTP/1.1 200 OK\r\n").contains("\"AccessKeyId\":\"ASIA\"");
    }

    /** All that comes back until the listener closes. */
    private static String answer(byte[] request) throws IOException {
        ByteArrayOutputStream answer = new ByteArrayOutputStream();
        try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), server.actualPort())) {
            socket.setSoTimeout((int) READ_TIMEOUT.toMillis());
            try {
                socket.getOutputStream().write(request);
                socket.shutdownOutput();
            } catch (SocketException e) {
                // The listener may have heard enough before the request is over; what it said can be read all the same.
            }
            InputStream in = socket.getInputStream();
            byte[] part = new byte[8192];
            try {
                for (int length = in.read(part); length >= 0; length = in.read(part)) {
                    answer.write(part, 0, length);
                }
            } catch (SocketException e) {
                // Reset: the end of the answer, too.
            }
        }
        return answer.toString(ISO_8859_1);
    }

    private static HttpServer listening() {
        Vertx vertx = Vertx.vertx(new VertxOptions().setEventLoopPoolSize(1));
        Clock clock = Clock.fixed(NOW, ZoneOffset.UTC);
        Metrics metrics = new Metrics(new SimpleMeterRegistry(), new BuildInfo("test"), clock);
        EventLoop loop = new EventLoop(vertx, vertx.getOrCreateContext());
        EksAuthAnswer issued = new IssuedCredentials("ASIA", "s3cret", "session", "123456789012", NOW.plusSeconds(3600),
                "shop", "cart", "arn:aws:sts::123456789012:assumed-role/shop/cart", "a-1");
        CredentialService credentials = new CredentialService(
                token -> CompletableFuture.completedFuture(issued),
                new CredentialSettings(Duration.ofHours(3), 100, 3, 100, Duration.ofSeconds(15)),
                LivingPods.UNWATCHED,
                metrics,
                new LimitReport(metrics, System::nanoTime),
                clock,
                System::nanoTime,
                loop,
                () -> 0.5);
        Connections connections = new Connections(
                ConnectionLimits.credentials(100, 100, HEADER_TIMEOUT), options(), metrics,
                new LimitReport(metrics, System::nanoTime));
        CredentialsHandler handler = new CredentialsHandler(
                new SourceRateLimit(0, 1),
                new RequestGuard(new AllowedHosts(List.of())),
                new TokenReader(Tokens.AUDIENCE, clock),
                new TokenVerification(Optional.empty(), Optional.empty(), LivingPods.UNWATCHED, metrics, System::nanoTime),
                CoalesceScope.TOKEN,
                credentials,
                new ClientDeadlines(Duration.ofMillis(900), Duration.ofMillis(1900)),
                (pod, failure) -> { },
                connections,
                metrics,
                System::nanoTime);
        CompletableFuture<HttpServer> listening = new CompletableFuture<>();
        loop.execute(() -> vertx.createHttpServer(options())
                .connectionHandler(connections::opened)
                .requestHandler(handler::handle)
                .listen(0, "127.0.0.1")
                .onComplete(bound -> {
                    if (bound.succeeded()) {
                        listening.complete(bound.result());
                    } else {
                        listening.completeExceptionally(bound.cause());
                    }
                }));
        return listening.join();
    }

    /** Those of {@link Listeners}, with a shorter idle time, so that no input has to wait for the end of it. */
    private static HttpServerOptions options() {
        return new HttpServerOptions()
                .setMaxHeaderSize(32 * 1024)
                .setMaxInitialLineLength(8 * 1024)
                .setIdleTimeout((int) HEADER_TIMEOUT.toMillis())
                .setIdleTimeoutUnit(TimeUnit.MILLISECONDS)
                .setHttp2ClearTextEnabled(false);
    }
}
