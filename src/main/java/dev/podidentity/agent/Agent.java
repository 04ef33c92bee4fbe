package dev.podidentity.agent;

import dev.podidentity.agent.config.AgentConfig;
import dev.podidentity.agent.config.CombinedValues;
import dev.podidentity.agent.credentials.CachedTokens;
import dev.podidentity.agent.credentials.CredentialService;
import dev.podidentity.agent.credentials.CredentialSettings;
import dev.podidentity.agent.credentials.Renewer;
import dev.podidentity.agent.eksauth.AgentCredentials;
import dev.podidentity.agent.eksauth.SdkEksAuth;
import dev.podidentity.agent.http.Listeners;
import dev.podidentity.agent.http.OperationsRoutes;
import dev.podidentity.agent.loop.EventLoop;
import dev.podidentity.agent.loop.LoopLag;
import dev.podidentity.agent.memory.HeapNeed;
import dev.podidentity.agent.memory.IdleHeap;
import dev.podidentity.agent.memory.NativeHeap;
import dev.podidentity.agent.network.ProcessNamespace;
import dev.podidentity.agent.observe.BuildInfo;
import dev.podidentity.agent.observe.Field;
import dev.podidentity.agent.observe.Health;
import dev.podidentity.agent.observe.LimitReport;
import dev.podidentity.agent.observe.Logging;
import dev.podidentity.agent.observe.Metrics;
import dev.podidentity.agent.observe.ProcessMeters;
import dev.podidentity.agent.token.TokenReader;
import io.micrometer.core.instrument.MeterRegistry;
import io.quarkus.runtime.ShutdownEvent;
import io.quarkus.runtime.StartupEvent;
import io.quarkus.runtime.configuration.ConfigurationException;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.ext.web.Router;
import jakarta.enterprise.event.Observes;
import jakarta.inject.Singleton;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executor;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.BooleanSupplier;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import org.jboss.logging.Logger;

/**
 * Assembles, starts and stops the agent. Quarkus injects what it provides (configuration, Vert.x, the meter registry, the
 * router for probes and metrics); everything else is created here, starting with what requests reach last.
 */
@Singleton
public class Agent {

    private static final Logger LOG = Logger.getLogger(Agent.class);
    /** Two empty JSON objects and a signature. */
    private static final String NO_TOKEN = "e30.e30.e30";
    private static final Duration FIRST_RETRY = Duration.ofSeconds(1);

    private final AgentConfig config;
    private final Vertx vertx;
    private final MeterRegistry registry;
    private final OperationsRoutes operations = new OperationsRoutes();
    private Optional<Router> router = Optional.empty();
    private Optional<Running> running = Optional.empty();

    Agent(AgentConfig config, Vertx vertx, MeterRegistry registry) {
        this.config = config;
        this.vertx = vertx;
        this.registry = registry;
    }

    void routes(@Observes Router given) {
        operations.addTo(given, ProcessNamespace.ofThisProcess());
        router = Optional.of(given);
    }

    void start(@Observes StartupEvent event) {
        LongSupplier droppedLines = Logging.configure(config);
        Map<String, String> environment = System.getenv();
        Optional<String> node = ClusterFeatures.node(environment);
        CombinedValues.problem(config, node).ifPresent(problem -> {
            throw new ConfigurationException(problem);
        });
        checkMemory(config);
        Clock clock = Clock.systemUTC();
        EventLoop loop = new EventLoop(vertx, vertx.getOrCreateContext());
        Executor worker = task -> vertx.executeBlocking(() -> {
            task.run();
            return null;
        }, false).onFailure(error -> LOG.error("A background task failed unexpectedly", error));
        Metrics metrics = new Metrics(registry, BuildInfo.current(), clock);
        LimitReport limits = new LimitReport(metrics, System::nanoTime);
        AgentCredentials own = AgentCredentials.ofThisNode(config.rotateCredentials(), worker, clock, System::nanoTime);
        SdkEksAuth eksAuth = eksAuth(own, worker, loop, clock);
        CredentialSettings settings = new CredentialSettings(
                config.maxCredentialRetentionBeforeRenewal(),
                config.maxCacheSize(),
                config.maxServiceQps(),
                config.maxConcurrentFetches(),
                config.flightTimeout());
        ClusterFeatures cluster =
                new ClusterFeatures(config, environment, node, metrics, clock, vertx, loop, worker);
        // The configuration is valid here. Started first, because the first request needs their results; the rest runs
        // meanwhile.
        connect(eksAuth, loop);
        keepCredentials(own, loop);
        CredentialService credentials = new CredentialService(
                eksAuth,
                settings,
                cluster.livingPods(),
                metrics,
                limits,
                clock,
                System::nanoTime,
                loop,
                () -> ThreadLocalRandom.current().nextDouble());
        Renewer renewer = new Renewer(credentials, settings, metrics, clock, System::nanoTime, loop);
        TokenReader tokens = new TokenReader(config.audience(), ClusterFeatures.leeway(config), clock);
        // Loads classes on this thread that the first request would otherwise load on the event loop.
        tokens.read(List.of(NO_TOKEN));
        BooleanSupplier canServe = () -> own.available() && eksAuth.connected();
        Listeners listeners = new Listeners(
                vertx,
                config,
                tokens,
                cluster.verification(),
                ClusterFeatures.scope(config),
                credentials,
                new CachedTokens(
                        credentials,
                        cluster.verification(),
                        ClusterFeatures.scope(config),
                        ClusterFeatures.leeway(config),
                        clock),
                cluster.failures(),
                router.orElseThrow(() -> new IllegalStateException("Quarkus provided no router")),
                canServe,
                metrics,
                limits,
                System::nanoTime,
                loop);
        Health health = new Health(listeners::ready, canServe, config.startupGrace(), System::nanoTime);
        metrics.listeners(listeners.states());
        metrics.agentCredentials(own::usable);
        metrics.agentCredentialsExpiry(own::expiration);
        metrics.logLinesDropped(droppedLines);
        operations.watch(health);
        running = Optional.of(new Running(eksAuth, cluster, renewer, listeners, health, loop));
        onLoop(loop, () -> {
            cluster.start(credentials::podGone, () -> listeners.ready() && canServe.getAsBoolean());
            renewer.start();
            new LoopLag(loop, System::nanoTime, metrics::loopLagged).start();
            new IdleHeap(loop, NativeHeap::used, NativeHeap::collect).start();
            return listeners.start();
        }, Duration.ofMinutes(1));
        ProcessMeters.addTo(registry);
        LOG.infof("Started", Field.of("version", BuildInfo.current()), Field.of("cluster", config.clusterName()));
    }

    private SdkEksAuth eksAuth(AgentCredentials own, Executor worker, Executor loop, Clock clock) {
        try {
            return new SdkEksAuth(
                    config.clusterName(),
                    config.endpoint(),
                    config.attemptTimeout(),
                    // Renewals use no slot of --max-concurrent-fetches; this many can be in flight within an attempt's
                    // timeout.
                    config.maxConcurrentFetches() + renewalsWithin(config.attemptTimeout()),
                    System.getenv(),
                    own,
                    vertx,
                    worker,
                    loop,
                    clock);
        } catch (IllegalArgumentException e) {
            throw new ConfigurationException(e.getMessage(), e);
        }
    }

    private int renewalsWithin(Duration time) {
        return (int) Math.min(Integer.MAX_VALUE / 2, (time.toSeconds() + 1) * config.maxServiceQps());
    }

    private static void checkMemory(AgentConfig config) {
        HeapNeed.of(config.maxCacheSize()).beyond(Runtime.getRuntime().maxMemory()).ifPresent(flag ->
                LOG.warnf("The heap may be too small for a cache of this size",
                        Field.of("maxCacheSize", config.maxCacheSize()),
                        Field.of("remedy", "pass " + flag + " as the agent's first argument and raise the memory limit of its"
                                + " container by as much, or lower --max-cache-size")));
    }

    private static void connect(SdkEksAuth eksAuth, EventLoop loop) {
        eksAuth.connect().whenCompleteAsync((done, error) -> {
            if (error != null) {
                LOG.error("The EKS Auth client cannot be created; retrying", error);
            }
            if (error != null || !done) {
                loop.schedule(FIRST_RETRY, () -> connect(eksAuth, loop));
            }
        }, loop);
    }

    private static void keepCredentials(AgentCredentials own, EventLoop loop) {
        own.refresh().whenCompleteAsync((found, error) -> {
            if (error != null) {
                LOG.error("The agent's own AWS credentials cannot be looked up; retrying", error);
            }
            boolean settled = error == null && found;
            loop.schedule(settled ? AgentCredentials.REFRESH_INTERVAL : FIRST_RETRY, () -> keepCredentials(own, loop));
        }, loop);
    }

    void stop(@Observes ShutdownEvent event) {
        running.ifPresent(agent -> {
            agent.health.stopping();
            LOG.info("Stopping");
            onLoop(agent.loop, () -> {
                agent.renewer.stop();
                agent.cluster.stop();
                return agent.listeners.stop(config.shutdownTimeout());
            }, config.shutdownTimeout().plusSeconds(1));
            agent.eksAuth.close();
            LOG.info("Stopped");
        });
        running = Optional.empty();
    }

    private static void onLoop(
            EventLoop loop, Supplier<Future<Void>> task, Duration timeout) {
        CompletableFuture<Void> done = new CompletableFuture<>();
        loop.execute(() -> Future.succeededFuture().compose(begun -> task.get()).onComplete(result -> {
            if (result.succeeded()) {
                done.complete(null);
            } else {
                done.completeExceptionally(result.cause());
            }
        }));
        try {
            done.get(timeout.toMillis(), TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } catch (TimeoutException e) {
            LOG.warn("The event loop was blocked", e);
        } catch (ExecutionException e) {
            throw new IllegalStateException("A task on the event loop failed", e.getCause());
        }
    }

    private record Running(
            SdkEksAuth eksAuth, ClusterFeatures cluster, Renewer renewer, Listeners listeners, Health health, EventLoop loop) {}
}
