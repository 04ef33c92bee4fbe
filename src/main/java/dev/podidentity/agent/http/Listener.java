package dev.podidentity.agent.http;

import dev.podidentity.agent.loop.Timers;
import dev.podidentity.agent.observe.Field;
import dev.podidentity.agent.observe.ListenerState;
import io.netty.channel.Channel;
import io.vertx.core.Future;
import io.vertx.core.Handler;
import io.vertx.core.Promise;
import io.vertx.core.http.HttpConnection;
import io.vertx.core.http.HttpServer;
import java.time.Duration;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.Supplier;
import org.jboss.logging.Logger;

/**
 * One address that is listened on. What cannot be bound is tried again for as long as the agent runs, and is nobody
 * else's trouble. Confined to the event loop, but for {@link #state}.
 */
final class Listener {

    private static final Logger LOG = Logger.getLogger(Listener.class);

    private final String name;
    private final String host;
    private final int port;
    private final Supplier<HttpServer> servers;
    private final Handler<HttpConnection> opened;
    private final AcceptGate gate;
    private final Function<String, Future<Boolean>> onThisNode;
    private final Duration retryInterval;
    private final Timers timers;
    private Optional<HttpServer> bound = Optional.empty();
    /** The socket that accepts; known once it has accepted something. */
    private Optional<Channel> acceptor = Optional.empty();
    private Optional<Timers.Timer> retry = Optional.empty();
    private String lastError = "";
    private boolean stopped;
    private volatile boolean up;
    private volatile boolean absent;

    /**
     * @param servers gives a new server, with its handlers for requests, for each attempt to bind
     * @param opened is given each connection
     * @param gate bounds the connections that have been accepted and not been opened yet
     * @param onThisNode says whether this node has an address; completes on the event loop
     */
    Listener(
            String name,
            String host,
            int port,
            Supplier<HttpServer> servers,
            Handler<HttpConnection> opened,
            AcceptGate gate,
            Function<String, Future<Boolean>> onThisNode,
            Duration retryInterval,
            Timers timers) {
        this.name = name;
        this.host = host;
        this.port = port;
        this.servers = servers;
        this.opened = opened;
        this.gate = gate;
        this.onThisNode = onThisNode;
        this.retryInterval = retryInterval;
        this.timers = timers;
    }

    /** Binds the address, now or later; completes after the first attempt, failed or not. */
    Future<Void> start() {
        HttpServer server = servers.get().connectionHandler(connection -> {
            accepted(Connections.channel(connection).parent());
            opened.handle(connection);
        });
        return server.listen(port, host).<Void>mapEmpty().onSuccess(done -> {
            if (stopped) {
                server.close();
                return;
            }
            bound = Optional.of(server);
            up = true;
            absent = false;
            LOG.infof("Listening", Field.of("listener", name), Field.of("address", address(server.actualPort())));
        }).recover(this::failed);
    }

    /** Vert.x gives the socket that accepts to nobody, so the first connection brings it. */
    private void accepted(Channel by) {
        if (acceptor.isEmpty() || acceptor.get() != by) {
            acceptor = Optional.of(by);
            by.pipeline().addFirst(gate);
        }
    }

    private Future<Void> failed(Throwable error) {
        if (!stopped) {
            retry = Optional.of(timers.schedule(retryInterval, this::start));
        }
        // What cannot be found out counts as the address being there, as readiness must not claim what it does not know.
        return onThisNode.apply(host).otherwise(true).map(there -> {
            absent = !there && !up;
            warn(String.valueOf(error.getMessage()));
            return null;
        });
    }

    private void warn(String reason) {
        if (reason.equals(lastError)) {
            return;
        }
        lastError = reason;
        LOG.warnf("An address cannot be bound; it is tried again",
                Field.of("listener", name),
                Field.of("address", address(port)),
                Field.of("reason", reason),
                Field.of("remedy", absent
                        ? "none is needed on a node without this address; else run 'eks-pod-identity-agent initialize', "
                                + "put it on a link, or set --bind-hosts"
                        : "end the process that has the port, or give this one NET_BIND_SERVICE or another port"));
    }

    /** Ceases to try, and to accept; what is open stays so. Completes on any thread. */
    Future<Void> stopAccepting() {
        stopped = true;
        up = false;
        retry.ifPresent(Timers.Timer::cancel);
        if (acceptor.isEmpty()) {
            return stop();
        }
        // Vert.x can only close a server with all its connections.
        Promise<Void> closed = Promise.promise();
        acceptor.get().close().addListener(done -> closed.complete());
        return closed.future();
    }

    /** Closes what is open. */
    Future<Void> stop() {
        stopped = true;
        up = false;
        retry.ifPresent(Timers.Timer::cancel);
        return bound.map(HttpServer::close).orElse(Future.succeededFuture());
    }

    String name() {
        return name;
    }

    /** Whether it listens. Any thread. */
    boolean up() {
        return up;
    }

    /** Whether it does not listen because this node does not have the address. Any thread. */
    boolean absent() {
        return absent;
    }

    ListenerState state() {
        return new ListenerState(name, address(port), this::up);
    }

    private String address(int boundPort) {
        return (host.contains(":") ? "[" + host + "]" : host) + ":" + boundPort;
    }
}
