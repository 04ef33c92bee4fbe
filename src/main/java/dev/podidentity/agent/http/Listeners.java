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
 * All listeners: credentials on each bind host, probes on localhost, and metrics and probes on the metrics address. Each is
 * bound and retried independently. Confined to the event loop, unless stated otherwise.
 */
public final class Listeners {

    private static final Logger LOG = Logger.getLogger(Listeners.class);

    /** The name of the credentials listeners, in logs and metric labels. */
    public static final String CREDENTIALS = "credentials";
    public static final String PROBES = "probes";
    public static final String METRICS = "metrics";

    private static final String LOCALHOST = "localhost";
    /** Connections that wait to be accepted while the event loop is busy: as many as in a burst of all pods of a node. */
    static final int BACKLOG = 1024;
    /** The container is charged for the kernel's buffers, and the kernel doubles this value. */
    static final int SOCKET_BUFFER = 4 * 1024;
    /** There are few of these connections, and a scrape should not take ten turns of the event loop. */
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
     * @param scope which requests share credentials
     * @param cached recognizes the tokens of cached credentials
     * @param failures receives refusals
     * @param operations handles requests for probes and metrics
     * @param serves whether this agent can serve as well as one that already listens
     * @param limits receives rejections
     * @param nanos a monotonic clock
     * @param loop the event loop to which this is confined
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
        // A client that finds this agent's probes and metrics beside another's can rely on its credentials.
        BooleanSupplier servesAll = () -> serves.getAsBoolean() && ready();
        DebugRoutes inside = new DebugRoutes(credentials, limits, rate, operations, vertx, nanos);
        listeners.add(operations(PROBES, LOCALHOST, config.probePort(), inside::handle, servesAll, metrics, limits));
        listeners.add(operations(
                METRICS, config.metricsAddress(), config.metricsPort(), operations, servesAll, metrics, limits));
    }

    /** Each has its own limits, so that clients that reach one cannot block the other. */
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
                // The guards support only HTTP/1.
                .setHttp2ClearTextEnabled(false)
                .setPerMessageWebSocketCompressionSupported(false)
                .setPerFrameWebSocketCompressionSupported(false);
    }

    /** Binds what can be bound, and completes; the rest is retried. */
    public Future<Void> start() {
        return Future.join(listeners.stream().map(Listener::start).toList()).mapEmpty();
    }

    /**
     * Returns whether credentials are served on every address that this node has. An address that the node lacks, such as an
     * IPv6 address without IPv6, is not required. One whose port another process uses is required. Any thread.
     */
    public boolean ready() {
        return credentialsListeners().anyMatch(Listener::up)
                && credentialsListeners().allMatch(listener -> listener.up() || listener.absent());
    }

    private Stream<Listener> credentialsListeners() {
        return listeners.stream().filter(listener -> listener.name().equals(CREDENTIALS));
    }

    /** Returns the state of each listener for monitoring. */
    public List<ListenerState> states() {
        return listeners.stream().map(Listener::state).toList();
    }

    /**
     * Stops accepting, waits for the requests in flight as long as time remains, and closes everything. If another agent
     * also listens, new connections are redirected to it first; connections that are kept open then have the same time to
     * send one more request, and close after its response.
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

    /** @param successor whether another agent serves clients that reconnect */
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
