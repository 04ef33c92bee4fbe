package dev.podidentity.agent.http;

import dev.podidentity.agent.config.CoalesceScope;
import dev.podidentity.agent.credentials.CachedTokens;
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
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.VertxOptions;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;

/** A real listener for credentials, with an EKS Auth that immediately issues credentials for every token. */
final class CredentialsServer {

    private final int port;
    private final Connections connections;
    private final EventLoop loop;
    private final AtomicInteger shortWays;

    private CredentialsServer(int port, Connections connections, EventLoop loop, AtomicInteger shortWays) {
        this.port = port;
        this.connections = connections;
        this.loop = loop;
        this.shortWays = shortWays;
    }

    /**
     * Listens on loopback.
     *
     * @param now the constant time of the clock
     * @param idleTimeout time after which idle connections are closed
     * @param answersHits whether the fast path may serve cache hits
     */
    static CredentialsServer listen(Instant now, Duration idleTimeout, boolean answersHits) {
        return listen(now, idleTimeout, answersHits, "session");
    }

    /** @param sessionToken of the credentials, which determines the size of the responses */
    static CredentialsServer listen(Instant now, Duration idleTimeout, boolean answersHits, String sessionToken) {
        Vertx vertx = Vertx.vertx(new VertxOptions().setEventLoopPoolSize(1));
        Clock clock = Clock.fixed(now, ZoneOffset.UTC);
        Metrics metrics = new Metrics(new SimpleMeterRegistry(), new BuildInfo("test"), clock);
        EventLoop loop = new EventLoop(vertx, vertx.getOrCreateContext());
        EksAuthAnswer issued = new IssuedCredentials("ASIA", "s3cret", sessionToken, "123456789012", now.plusSeconds(3600),
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
                ConnectionLimits.credentials(100, 100, idleTimeout), metrics,
                new LimitReport(metrics, System::nanoTime));
        TokenVerification verification =
                new TokenVerification(Optional.empty(), Optional.empty(), LivingPods.UNWATCHED, metrics, System::nanoTime);
        SourceRateLimit rate = new SourceRateLimit(0, 1);
        CredentialsHandler handler = new CredentialsHandler(
                rate,
                new RequestGuard(new AllowedHosts(List.of())),
                new TokenReader(Tokens.AUDIENCE, clock),
                verification,
                CoalesceScope.TOKEN,
                credentials,
                new ClientDeadlines(Duration.ofMillis(900), Duration.ofMillis(1900)),
                (pod, failure) -> { },
                connections,
                metrics,
                System::nanoTime);
        AtomicInteger shortWays = new AtomicInteger();
        CachedTokens cached = new CachedTokens(credentials, verification, CoalesceScope.TOKEN, Duration.ZERO, clock);
        HitPath hits = new HitPath(
                cached,
                rate,
                () -> {
                    // Called for each response that does not itself close its connection.
                    shortWays.incrementAndGet();
                    return false;
                },
                metrics,
                System::nanoTime);
        Acceptor acceptor = new CredentialsAcceptor(
                loop,
                host -> Future.failedFuture(host + " is not an address"),
                connections,
                handler,
                answersHits ? Optional.of(hits) : Optional.empty(),
                idleTimeout);
        CompletableFuture<Integer> listening = new CompletableFuture<>();
        loop.execute(() -> acceptor.listen("127.0.0.1", 0, () -> { })
                .onSuccess(bound -> listening.complete(bound.port()))
                .onFailure(listening::completeExceptionally));
        return new CredentialsServer(listening.join(), connections, loop, shortWays);
    }

    int port() {
        return port;
    }

    /** Returns the bytes charged for unfinished requests and unread responses. */
    long held() {
        CompletableFuture<Long> held = new CompletableFuture<>();
        loop.execute(() -> held.complete(connections.held()));
        return held.join();
    }

    /** Returns how many requests the fast path has served that were not the last of their connection. */
    int shortWays() {
        return shortWays.get();
    }
}
