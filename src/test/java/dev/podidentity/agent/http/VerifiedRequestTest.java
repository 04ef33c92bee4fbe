package dev.podidentity.agent.http;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.config.CoalesceScope;
import dev.podidentity.agent.credentials.CachedTokens;
import dev.podidentity.agent.credentials.CredentialService;
import dev.podidentity.agent.credentials.CredentialSettings;
import dev.podidentity.agent.eksauth.EksAuthAnswer;
import dev.podidentity.agent.eksauth.IssuedCredentials;
import dev.podidentity.agent.eksauth.PermanentFailure;
import dev.podidentity.agent.loop.EventLoop;
import dev.podidentity.agent.loop.SourceRateLimit;
import dev.podidentity.agent.observe.BuildInfo;
import dev.podidentity.agent.observe.LimitReport;
import dev.podidentity.agent.observe.Metrics;
import dev.podidentity.agent.testing.Tokens;
import dev.podidentity.agent.token.NotVerified;
import dev.podidentity.agent.token.ServiceAccountToken;
import dev.podidentity.agent.token.TokenReader;
import dev.podidentity.agent.token.Verification;
import dev.podidentity.agent.token.VerifiedClaims;
import dev.podidentity.agent.verification.LivingPods;
import dev.podidentity.agent.verification.TokenVerification;
import dev.podidentity.agent.verification.TokenVerifier;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.VertxOptions;
import io.vertx.core.json.JsonObject;
import java.io.IOException;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Requests from their token to its verification, over real connections. */
class VerifiedRequestTest {

    private static final Instant NOW = Instant.parse("2026-01-01T00:00:00Z");
    private static final Clock CLOCK = Clock.fixed(NOW, ZoneOffset.UTC);
    private static final VerifiedClaims PROVED =
            new VerifiedClaims("issuer", "shop", "cart", "sa-uid", "cart-0", "pod-uid", Optional.of("node-1"));
    private static final PermanentFailure NO_ASSOCIATION =
            new PermanentFailure(PermanentFailure.Reason.NO_ASSOCIATION, "make one");
    private static final IssuedCredentials ISSUED = new IssuedCredentials("ASIA", "s3cret", "session", "123456789012",
            NOW.plusSeconds(3600), "shop", "cart", "arn:aws:sts::123456789012:assumed-role/shop/cart", "a-1");
    private static final long PATIENCE_SECONDS = 30;

    private final Vertx vertx = Vertx.vertx(new VertxOptions().setEventLoopPoolSize(1));
    private final EventLoop loop = new EventLoop(vertx, vertx.getOrCreateContext());
    private final SimpleMeterRegistry registry = new SimpleMeterRegistry();
    private final Metrics metrics = new Metrics(registry, new BuildInfo("test"), CLOCK);
    private final BlockingQueue<Consumer<Verification>> verifying = new ArrayBlockingQueue<>(10);
    private final BlockingQueue<ServiceAccountToken> asked = new ArrayBlockingQueue<>(10);
    private final List<String> reported = new CopyOnWriteArrayList<>();
    private final CompletableFuture<EksAuthAnswer> eksAuth = new CompletableFuture<>();
    private final Connections connections = new Connections(
            ConnectionLimits.credentials(100, 100, Duration.ofSeconds(5)), metrics,
            new LimitReport(metrics, System::nanoTime));
    private final HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
    private int port;

    @BeforeEach
    void listen() {
        CredentialService credentials = new CredentialService(
                token -> {
                    asked.add(token);
                    return eksAuth;
                },
                new CredentialSettings(
                        Duration.ofHours(3), 100, 3, 100, Duration.ofMinutes(1)),
                LivingPods.UNWATCHED,
                metrics,
                new LimitReport(metrics, System::nanoTime),
                CLOCK,
                System::nanoTime,
                loop,
                () -> 0.5);
        TokenVerification verification = new TokenVerification(
                Optional.of(new SlowVerifier()), Optional.of("node-1"), LivingPods.UNWATCHED, metrics, System::nanoTime);
        SourceRateLimit rate = new SourceRateLimit(0, 1);
        CredentialsHandler handler = new CredentialsHandler(
                rate,
                new RequestGuard(new AllowedHosts(List.of("127.0.0.1"))),
                new TokenReader(Tokens.AUDIENCE, CLOCK),
                verification,
                CoalesceScope.ROLE,
                credentials,
                new ClientDeadlines(Duration.ofSeconds(PATIENCE_SECONDS), Duration.ofSeconds(PATIENCE_SECONDS)),
                (pod, failure) -> reported.add(pod.pod() + " " + failure.code()),
                connections,
                metrics,
                System::nanoTime);
        Acceptor acceptor = new CredentialsAcceptor(
                loop,
                host -> Future.failedFuture(host + " is not an address"),
                connections,
                handler,
                Optional.of(new HitPath(
                        new CachedTokens(credentials, verification, CoalesceScope.ROLE, Duration.ZERO, CLOCK),
                        rate,
                        () -> false,
                        metrics,
                        System::nanoTime)),
                Duration.ofSeconds(PATIENCE_SECONDS));
        CompletableFuture<Integer> listening = new CompletableFuture<>();
        loop.execute(() -> acceptor.listen("127.0.0.1", 0, () -> { }).onSuccess(bound -> listening.complete(bound.port())));
        port = listening.join();
    }

    @AfterEach
    void close() {
        vertx.close().toCompletionStage().toCompletableFuture().join();
    }

    @Test
    void forbidsATokenOfAnotherNodeAndAsksNobody() throws Exception {
        // Given
        JsonObject claims = Tokens.claims(NOW, "cart-0");
        claims.getJsonObject("kubernetes.io").getJsonObject("node").put("name", "node-2");
        // When
        HttpResponse<String> answer = ask(claims.encode()).get(PATIENCE_SECONDS, TimeUnit.SECONDS);
        // Then
        assertThat(answer.statusCode()).isEqualTo(403);
        assertThat(answer.headers().firstValue("content-type")).contains("application/json");
        assertThat(answer.body()).contains("\"Code\":\"AccessDeniedException\"", "on another node");
        assertThat(verifying).isEmpty();
        assertThat(asked).isEmpty();
    }

    @Test
    void reportsThePodThatIsRefusedIfItsTokenWasVerified() throws Exception {
        // Given
        CompletableFuture<HttpResponse<String>> proved = ask(Tokens.claims(NOW, "cart-0").encode());
        CompletableFuture<HttpResponse<String>> unproved = ask(Tokens.claims(NOW, "cart-1").encode());
        Consumer<Verification> first = next(verifying);
        Consumer<Verification> second = next(verifying);
        // When
        loop.execute(() -> {
            first.accept(PROVED);
            second.accept(new NotVerified(NotVerified.Reason.NO_KEYS));
            eksAuth.complete(NO_ASSOCIATION);
        });
        // Then
        assertThat(proved.get(PATIENCE_SECONDS, TimeUnit.SECONDS).statusCode()).isEqualTo(403);
        assertThat(unproved.get(PATIENCE_SECONDS, TimeUnit.SECONDS).statusCode()).isEqualTo(403);
        assertThat(asked).hasSize(2);
        assertThat(reported).containsExactly("cart-0 ResourceNotFoundException");
    }

    @Test
    void asksNothingForAClientThatHasGoneWhileItsTokenWasVerified() throws Exception {
        // Given
        Consumer<Verification> verdict;
        try (Socket client = new Socket("127.0.0.1", port)) {
            client.getOutputStream().write(("GET /v1/credentials HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: "
                    + Tokens.valid(NOW, "cart-0") + "\r\n\r\n").getBytes(StandardCharsets.US_ASCII));
            verdict = next(verifying);
        }
        CompletableFuture<Void> closed = new CompletableFuture<>();
        loop.execute(() -> whenNobodyIsConnected(closed));
        closed.get(PATIENCE_SECONDS, TimeUnit.SECONDS);
        // When
        CompletableFuture<Void> told = new CompletableFuture<>();
        loop.execute(() -> {
            verdict.accept(PROVED);
            told.complete(null);
        });
        told.get(PATIENCE_SECONDS, TimeUnit.SECONDS);
        // Then
        assertThat(asked).isEmpty();
    }

    @Test
    void learnsNothingFromARequestThatFollowsACacheHitWhoseTokenTookTimeToVerify() throws Exception {
        // Given: a cache hit whose response follows after its request has been read
        String token = Tokens.valid(NOW, "cart-0");
        try (Socket client = new Socket("127.0.0.1", port)) {
            client.setSoTimeout((int) Duration.ofSeconds(PATIENCE_SECONDS).toMillis());
            eksAuth.complete(ISSUED);
            for (int time = 0; time < 2; time++) {
                send(client, "/v1/credentials", token);
                Consumer<Verification> verdict = next(verifying);
                loop.execute(() -> verdict.accept(PROVED));
                assertThat(status(client)).isEqualTo("HTTP/1.1 200 OK");
            }
            // When
            send(client, "/other", token);
            assertThat(status(client)).isEqualTo("HTTP/1.1 404 Not Found");
            send(client, "/other", token);
            // Then
            assertThat(status(client)).isEqualTo("HTTP/1.1 404 Not Found");
        }
    }

    private static void send(Socket client, String path, String token) throws IOException {
        client.getOutputStream().write(("GET " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: " + token
                + "\r\n\r\n").getBytes(StandardCharsets.US_ASCII));
    }

    /** Reads one response, and returns its status line. */
    private static String status(Socket client) throws IOException {
        StringBuilder head = new StringBuilder();
        while (head.indexOf("\r\n\r\n") < 0) {
            int next = client.getInputStream().read();
            assertThat(next).as("after %s", head).isNotNegative();
            head.append((char) next);
        }
        Matcher length = Pattern.compile("content-length: (\\d+)").matcher(head);
        assertThat(length.find()).isTrue();
        client.getInputStream().readNBytes(Integer.parseInt(length.group(1)));
        return head.substring(0, head.indexOf("\r\n"));
    }

    private void whenNobodyIsConnected(CompletableFuture<Void> closed) {
        if (registry.get("pod_identity_connections").gauge().value() == 0) {
            closed.complete(null);
        } else {
            loop.schedule(Duration.ofMillis(1), () -> whenNobodyIsConnected(closed));
        }
    }

    private CompletableFuture<HttpResponse<String>> ask(String claims) {
        return client.sendAsync(
                HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + "/v1/credentials"))
                        .header("Authorization", Tokens.jwt(Tokens.header().encode(), claims))
                        .build(),
                BodyHandlers.ofString());
    }

    private static <T> T next(BlockingQueue<T> queue) throws InterruptedException {
        T next = queue.poll(PATIENCE_SECONDS, TimeUnit.SECONDS);
        assertThat(next).isNotNull();
        return next;
    }

    /** Takes time for each token, and remembers verified ones. */
    private final class SlowVerifier implements TokenVerifier {

        @Override
        public void verify(ServiceAccountToken token, String source, Consumer<Verification> verdict) {
            verifying.add(verdict);
        }

        @Override
        public Verification known(ServiceAccountToken token, Instant now) {
            return PROVED;
        }
    }
}
