package dev.podidentity.agent.http;

import dev.podidentity.agent.http.Acceptor.Accepting;
import dev.podidentity.agent.loop.Timers;
import dev.podidentity.agent.network.SharedPort.Listening;
import dev.podidentity.agent.network.SharedPort.State;
import dev.podidentity.agent.observe.Field;
import dev.podidentity.agent.observe.ListenerState;
import io.vertx.core.Future;
import io.vertx.core.Promise;
import java.nio.channels.UnsupportedAddressTypeException;
import java.time.Duration;
import java.util.Optional;
import java.util.function.BooleanSupplier;
import java.util.function.Function;
import java.util.function.LongSupplier;
import org.jboss.logging.Logger;

/**
 * A listener for one address. If the address cannot be bound, this retries for as long as the agent runs, and affects no
 * other listener. If another agent listens there, this one joins once it can serve as well; at shutdown it leaves the
 * address to the other agent without losing a connection. Confined to the event loop, except for {@link #state}.
 */
final class Listener {

    private static final Logger LOG = Logger.getLogger(Listener.class);

    /**
     * Interval between checks of an address that another process uses: the longest time without a listener after that
     * process exits.
     */
    static final Duration LOOK = Duration.ofMillis(250);
    /** Interval between checks of an address on which this agent listens. */
    static final Duration WATCH = Duration.ofSeconds(30);
    /** If no new connection arrives for this long, they go elsewhere, and earlier handshakes have completed. */
    static final Duration QUIET = Duration.ofMillis(200);
    /** Connections that arrive this soon after redirecting were already on their way. */
    static final Duration ON_ITS_WAY = Duration.ofMillis(50);
    private static final Listening NOBODY = new Listening(0, 0);

    private final String name;
    private final String host;
    private final int port;
    private final Acceptor acceptor;
    private final PortSharing sharing;
    private final BooleanSupplier serves;
    private final Function<String, Future<Boolean>> onThisNode;
    private final Duration retryInterval;
    private final LongSupplier nanos;
    private final Timers timers;
    private Optional<Accepting> bound = Optional.empty();
    private Optional<Timers.Timer> retry = Optional.empty();
    private String lastError = "";
    private boolean waits;
    private boolean stopped;
    private long lastOpened;
    private volatile boolean up;
    private volatile boolean absent;
    private volatile boolean shared;

    /**
     * @param acceptor accepts connections there
     * @param sharing determines which other processes listen there
     * @param serves whether this agent can serve as well as one that already listens there
     * @param onThisNode whether this node has an address; completes on the event loop
     * @param nanos a monotonic clock
     */
    Listener(
            String name,
            String host,
            int port,
            Acceptor acceptor,
            PortSharing sharing,
            BooleanSupplier serves,
            Function<String, Future<Boolean>> onThisNode,
            Duration retryInterval,
            LongSupplier nanos,
            Timers timers) {
        this.name = name;
        this.host = host;
        this.port = port;
        this.acceptor = acceptor;
        this.sharing = sharing;
        this.serves = serves;
        this.onThisNode = onThisNode;
        this.retryInterval = retryInterval;
        this.nanos = nanos;
        this.timers = timers;
        this.lastOpened = nanos.getAsLong();
    }

    /** Binds the address now or later; completes after the first attempt, failed or not. */
    Future<Void> start() {
        // If the state cannot be determined, try anyway.
        return bindable(State.FREE).compose(state -> {
            if (stopped) {
                return Future.succeededFuture();
            }
            if (state == State.SHARED && !serves.getAsBoolean()) {
                waitForTurn();
                return Future.succeededFuture();
            }
            return bind(state == State.SHARED);
        });
    }

    /** @param unknown the result if the state cannot be determined */
    private Future<State> bindable(State unknown) {
        return sharing.state().otherwise(error -> {
            LOG.debug("It cannot be determined whether an address can be bound", error);
            return unknown;
        });
    }

    /** Determines which other processes listen there. If this fails, the agent serves anyway. */
    private Future<Listening> look() {
        return sharing.look().otherwise(error -> {
            LOG.debug("The sockets of this node cannot be listed", error);
            return NOBODY;
        });
    }

    private void waitForTurn() {
        if (!waits) {
            waits = true;
            LOG.infof("Another agent serves on this address; waiting until this one can take over",
                    Field.of("listener", name),
                    Field.of("address", address(port)));
        }
        retry = Optional.of(timers.schedule(LOOK, this::start));
    }

    private Future<Void> bind(boolean beside) {
        Runnable opened = () -> lastOpened = nanos.getAsLong();
        return acceptor.listen(host, port, opened).<Void>compose(accepting -> {
            if (stopped) {
                return accepting.close();
            }
            bound = Optional.of(accepting);
            up = true;
            absent = false;
            LOG.infof("Listening", Field.of("listener", name), Field.of("address", address(accepting.port())));
            shared(beside);
            watch();
            return Future.succeededFuture();
        }).recover(this::failed);
    }

    private void watch() {
        if (stopped) {
            return;
        }
        retry = Optional.of(timers.schedule(WATCH, () -> look().onSuccess(others -> {
            shared(others.others() > 0);
            watch();
        })));
    }

    private void shared(boolean now) {
        if (now && !shared) {
            LOG.infof("Another process also listens on this address", Field.of("listener", name), Field.of("address", address(port)));
        } else if (shared && !now) {
            LOG.infof("No other process listens on this address any more", Field.of("listener", name), Field.of("address", address(port)));
        }
        shared = now;
    }

    private Future<Void> failed(Throwable error) {
        // If it cannot be determined, the address counts as present, because readiness must not claim what it does not know.
        return onThisNode.apply(host).otherwise(true).map(there -> {
            absent = !there && !up;
            warn(reason(error));
            if (absent) {
                retry = Optional.of(timers.schedule(retryInterval, this::start));
            } else {
                awaitFree(retryInterval);
            }
            return null;
        });
    }

    /** Retries after the usual interval, or as soon as the process that has the address releases it. */
    private void awaitFree(Duration left) {
        Duration look = left.compareTo(LOOK) < 0 ? left : LOOK;
        retry = Optional.of(timers.schedule(look, () -> bindable(State.CLOSED).onSuccess(state -> {
            Duration still = left.minus(look);
            if (state == State.CLOSED && !still.isZero() && !stopped) {
                awaitFree(still);
            } else {
                start();
            }
        })));
    }

    private static String reason(Throwable error) {
        return error instanceof UnsupportedAddressTypeException ? "this node has no IPv6" : String.valueOf(error.getMessage());
    }

    private void warn(String reason) {
        if (reason.equals(lastError)) {
            return;
        }
        lastError = reason;
        LOG.warnf("The address cannot be bound; retrying",
                Field.of("listener", name),
                Field.of("address", address(port)),
                Field.of("reason", reason),
                Field.of("remedy", absent
                        ? "nothing, if this node is not meant to have the address; otherwise run 'eks-pod-identity-agent"
                        + " initialize', put it on a link, or set --bind-hosts"
                        : "stop the process that uses the port, or give this one NET_BIND_SERVICE or another port"));
    }

    /**
     * Leaves the address to another process that listens there, if there is one, and then stops accepting. Closing a socket
     * resets the connections that it has not accepted, so new ones are redirected first. Completes on any thread with
     * whether another process listens.
     *
     * @param until the latest time
     */
    Future<Boolean> handOver(long until) {
        stopTrying();
        if (!up) {
            return Future.succeededFuture(false);
        }
        return look().compose(others -> {
            if (others.others() == 0) {
                return Future.succeededFuture(false);
            }
            LOG.infof("Another agent also listens on this address and takes over",
                    Field.of("listener", name),
                    Field.of("address", address(port)));
            Promise<Boolean> left = Promise.promise();
            // A later socket, as in an upgrade, has number 1.
            steer(1, others.others() + 1, until, left);
            return left.future().compose(done -> stopAccepting().map(done));
        });
    }

    /** Redirects new connections to one of the given number of sockets, and waits until none arrives here. */
    private void steer(int number, int sockets, long until, Promise<Boolean> left) {
        sharing.steer(number).otherwise(error -> {
            LOG.debug("New connections cannot be redirected", error);
            return false;
        }).onSuccess(steered -> {
            if (steered) {
                awaitQuiet(number, sockets, nanos.getAsLong(), until, left);
            } else {
                LOG.warnf("New connections cannot be directed to the other agent; some may be lost",
                        Field.of("listener", name),
                        Field.of("address", address(port)));
                left.complete(true);
            }
        });
    }

    private void awaitQuiet(int number, int sockets, long steered, long until, Promise<Boolean> left) {
        timers.schedule(ON_ITS_WAY, () -> look().onSuccess(others -> {
            long now = nanos.getAsLong();
            boolean stillComing = lastOpened - steered > ON_ITS_WAY.toNanos();
            if (others.others() == 0) {
                left.complete(false);
            } else if (now - until >= 0) {
                left.complete(true);
            } else if (stillComing) {
                // They still arrive here, so this number is this socket's own.
                steer((number + 1) % sockets, sockets, until, left);
            } else if (now - steered >= QUIET.toNanos()
                    && now - lastOpened >= QUIET.toNanos()
                    && others.queued() == 0) {
                left.complete(true);
            } else {
                awaitQuiet(number, sockets, steered, until, left);
            }
        }));
    }

    /** Stops retrying and accepting; open connections remain. Completes on any thread. */
    Future<Void> stopAccepting() {
        stopTrying();
        up = false;
        return bound.map(Accepting::stop).orElse(Future.succeededFuture());
    }

    /** Closes open connections. */
    Future<Void> stop() {
        stopTrying();
        up = false;
        return bound.map(Accepting::close).orElse(Future.succeededFuture());
    }

    private void stopTrying() {
        stopped = true;
        retry.ifPresent(Timers.Timer::cancel);
    }

    String name() {
        return name;
    }

    /** Returns whether it listens. Any thread. */
    boolean up() {
        return up;
    }

    /** Returns whether it does not listen because this node does not have the address. Any thread. */
    boolean absent() {
        return absent;
    }

    ListenerState state() {
        return new ListenerState(name, address(port), this::up, () -> shared, () -> !absent);
    }

    private String address(int boundPort) {
        return (host.contains(":") ? "[" + host + "]" : host) + ":" + boundPort;
    }
}
