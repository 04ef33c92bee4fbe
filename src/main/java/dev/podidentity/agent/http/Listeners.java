package dev.podidentity.agent.http;

import dev.podidentity.agent.config.AgentConfig;
import dev.podidentity.agent.config.CoalesceScope;
import dev.podidentity.agent.credentials.CachedTokens;
import dev.podidentity.agent.credentials.CredentialService;
import dev.podidentity.agent.loop.EventLoop;
import dev.podidentity.agent.loop.SourceRateLimit;
import dev.podidentity.agent.observe.Field;
import dev.podidentity.agent.observe.LimitReport;
import dev.podidentity.agent.observe.ListenerState;
import dev.podidentity.agent.observe.Metrics;
import dev.podidentity.agent.token.TokenReader;
import dev.podidentity.agent.verification.TokenVerification;
import io.vertx.core.Context;
import io.vertx.core.Future;
import io.vertx.core.Handler;
import io.vertx.core.Promise;
import io.vertx.core.Vertx;
import io.vertx.core.http.HttpServerOptions;
import io.vertx.core.http.HttpServerRequest;
import java.net.InetAddress;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.function.LongSupplier;
import java.util.stream.Stream;
import org.jboss.logging.Logger;

/**
 * All that is listened on: credentials on each bind host, probes on localhost, metrics and probes on the metrics
 * address. Each listener binds, fails and is retried alone. Confined to the event loop, where not said otherwise.
 */
public final class Listeners {

    private static final Logger LOG = Logger.getLogger(Listeners.class);

    /** What serves credentials; the value of the metric's label. */
    public static final String CREDENTIALS = "credentials";
    public static final String PROBES = "probes";
    public static final String METRICS = "metrics";

    private static final String LOCALHOST = "localhost";
    /** Connections that wait to be accepted while the loop is busy: as many as a burst of all pods of a node. */
    static final int BACKLOG = 1024;
    /** What the kernel keeps of each connection counts for the container, and it doubles this for its own part. */
    static final int SOCKET_BUFFER = 4 * 1024;
    /** There are few connections, and a scrape should not take ten turns. */
    private static final int OPERATIONS_SEND_BUFFER = 64 * 1024;
    private static final Duration DRAIN_LOOK = Duration.ofMillis(20);

    private final Vertx vertx;
    private final AgentConfig config;
    private final LongSupplier nanos;
    private final EventLoop loop;
    private final CredentialsHandler handler;
    private final Connections clients;
    private final List<Connections> operations = new ArrayList<>();
    private final List<Listener> listeners = new ArrayList<>();

    /**
     * @param scope who shares credentials
     * @param cached recognises the tokens of cached credentials
     * @param failures is told of pods that get none
     * @param operations answers requests for probes and metrics
     * @param serves whether this agent can serve as well as another one that listens already
     * @param limits is told what is turned away
     * @param nanos a monotonic clock
     * @param loop to which this is confined
     */
    public Listeners(
            Vertx vertx,
            AgentConfig config,
            TokenReader tokens,
            TokenVerification verification,
            CoalesceScope scope,
            CredentialService credentials,
            CachedTokens cached,
            FailureReport failures,
            Handler<HttpServerRequest> operations,
            BooleanSupplier serves,
            Metrics metrics,
            LimitReport limits,
            LongSupplier nanos,
            EventLoop loop) {
        this.vertx = vertx;
        this.config = config;
        this.nanos = nanos;
        this.loop = loop;
        this.clients = new Connections(ConnectionLimits.credentials(config), metrics, limits);
        SourceRateLimit rate = new SourceRateLimit(config.sourceRequestsPerSecond(), config.sourceRequestBurst());
        this.handler = new CredentialsHandler(
                rate,
                new RequestGuard(new AllowedHosts(config.allowedHosts().orElse(List.of()))),
                tokens,
                verification,
                scope,
                credentials,
                new ClientDeadlines(config.requestDeadline(), config.patientRequestDeadline()),
                failures,
                clients,
                metrics,
                nanos);
        Acceptor acceptor = new CredentialsAcceptor(
                loop,
                this::resolve,
                clients,
                handler,
                Optional.of(new HitPath(cached, rate, handler::draining, metrics, nanos)),
                config.idleTimeout());
        for (String host : new LinkedHashSet<>(config.bindHosts())) {
            listeners.add(listener(CREDENTIALS, host, config.port(), acceptor, serves));
        }
        // Whoever finds this agent's probes and metrics beside another's can rely on its credentials.
        BooleanSupplier servesAll = () -> serves.getAsBoolean() && ready();
        DebugRoutes inside = new DebugRoutes(credentials, limits, rate, operations, vertx, nanos);
        listeners.add(operations(PROBES, LOCALHOST, config.probePort(), inside::handle, servesAll, metrics, limits));
        listeners.add(operations(
                METRICS, config.metricsAddress(), config.metricsPort(), operations, servesAll, metrics, limits));
    }

    /** Each has limits of its own, so that nobody who can reach the one keeps others out of the other. */
    private Listener operations(
            String name,
            String host,
            int port,
            Handler<HttpServerRequest> routes,
            BooleanSupplier serves,
            Metrics metrics,
            LimitReport limits) {
        Connections connections =
                new Connections(ConnectionLimits.operations(config.headerTimeout()), metrics, limits);
        operations.add(connections);
        OperationsGuard guard = new OperationsGuard(routes, connections, nanos);
        AcceptGate gate = new AcceptGate(loop, connections::rejected);
        return listener(
                name, host, port, new OperationsAcceptor(vertx, options(), guard::handle, connections, gate), serves);
    }

    private Listener listener(String name, String host, int port, Acceptor acceptor, BooleanSupplier serves) {
        return new Listener(
                name,
                host,
                port,
                acceptor,
                PortSharing.of(vertx, host, port),
                serves,
                this::onThisNode,
                config.bindRetryInterval(),
                nanos,
                loop);
    }

    private Future<Boolean> onThisNode(String host) {
        return vertx.executeBlocking(() -> NodeAddresses.has(host), false);
    }

    private Future<InetAddress> resolve(String host) {
        return vertx.executeBlocking(() -> InetAddress.getByName(host), false);
    }

    private HttpServerOptions options() {
        return new HttpServerOptions()
                .setMaxHeaderSize(RequestHeads.LARGEST_HEADERS)
                .setMaxInitialLineLength(RequestHeads.LONGEST_REQUEST_LINE)
                .setReceiveBufferSize(SOCKET_BUFFER)
                .setSendBufferSize(OPERATIONS_SEND_BUFFER)
                .setIdleTimeout((int) Math.min(Integer.MAX_VALUE, config.idleTimeout().toMillis()))
                .setIdleTimeoutUnit(TimeUnit.MILLISECONDS)
                // A new agent takes over from an old one while both listen.
                .setReusePort(true)
                // The guards are written for HTTP/1.
                .setHttp2ClearTextEnabled(false)
                .setPerMessageWebSocketCompressionSupported(false)
                .setPerFrameWebSocketCompressionSupported(false);
    }

    /** Binds what can be bound, and completes; the rest is retried. */
    public Future<Void> start() {
        return Future.join(listeners.stream().map(Listener::start).toList()).mapEmpty();
    }

    /**
     * Whether credentials are served at every address that this node has. One that it does not have, such as an IPv6
     * address where there is no IPv6, is not required; one that is taken by somebody else is. Any thread.
     */
    public boolean ready() {
        return credentialsListeners().anyMatch(Listener::up)
                && credentialsListeners().allMatch(listener -> listener.up() || listener.absent());
    }

    private Stream<Listener> credentialsListeners() {
        return listeners.stream().filter(listener -> listener.name().equals(CREDENTIALS));
    }

    /** What is to be watched of each listener. */
    public List<ListenerState> states() {
        return listeners.stream().map(Listener::state).toList();
    }

    /**
     * Stops accepting, lets the requests in flight finish for as long as there is time, and closes everything. Where another
     * agent listens too, first leaves new connections to it; then there is no hurry, and connections that are kept open
     * have the same time to ask once more, get their last answer, and end.
     */
    public Future<Void> stop(Duration timeout) {
        long until = nanos.getAsLong() + timeout.toNanos();
        Context loop = vertx.getOrCreateContext();
        Promise<Void> drained = Promise.promise();
        handler.drain();
        Future.join(listeners.stream().map(listener -> listener.handOver(until)).toList())
                .onComplete(left -> loop.runOnContext(ignored -> {
                    boolean successor = left.succeeded() && left.result().<Boolean>list().contains(true);
                    Future.join(credentialsListeners().map(Listener::stopAccepting).toList())
                            .onComplete(closed -> loop.runOnContext(same -> {
                                LOG.debug("No longer accepting connections");
                                awaitDrained(until, successor, drained);
                            }));
                }));
        return drained.future()
                .compose(done -> Future.join(listeners.stream().map(Listener::stop).toList()))
                .mapEmpty();
    }

    /** @param successor whether another agent serves whoever comes back */
    private void awaitDrained(long until, boolean successor, Promise<Void> drained) {
        int busy = clients.busy() + (successor ? operations.stream().mapToInt(Connections::busy).sum() : 0);
        if (busy == 0 && (!successor || clients.open() == 0)) {
            drained.complete();
        } else if (nanos.getAsLong() - until >= 0) {
            if (busy > 0) {
                LOG.warnf("Requests in flight did not finish in time", Field.of("requests", busy));
            }
            drained.complete();
        } else {
            loop.schedule(DRAIN_LOOK, () -> awaitDrained(until, successor, drained));
        }
    }
}
