package dev.podidentity.agent.http;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.http.Acceptor.Accepting;
import dev.podidentity.agent.loop.EventLoop;
import dev.podidentity.agent.network.SharedPort.Listening;
import dev.podidentity.agent.network.SharedPort.State;
import dev.podidentity.agent.observe.BuildInfo;
import dev.podidentity.agent.observe.LimitReport;
import dev.podidentity.agent.observe.Metrics;
import dev.podidentity.agent.testing.FakeTime;
import dev.podidentity.agent.testing.LogLines;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** How a listener handles an address that cannot be bound, or that another process uses. */
class ListenerTest {

    private static final Duration RETRY = Duration.ofSeconds(5);
    private static final Duration TIMEOUT = Duration.ofSeconds(5);
    private static final Duration STEP = Duration.ofMillis(50);
    private static final String OF_NOBODY = "192.0.2.1";
    private static final Listening NOBODY = new Listening(0, 0);
    private static final Listening ANOTHER_AGENT = new Listening(1, 0);

    private final Vertx vertx = Vertx.vertx();
    private final EventLoop loop = new EventLoop(vertx, vertx.getOrCreateContext());
    private final FakeTime time = new FakeTime();
    private final LogLines log = new LogLines(Listener.class);
    private final FakeSharing sharing = new FakeSharing();
    private final Metrics metrics = new Metrics(new SimpleMeterRegistry(), new BuildInfo("test"), Clock.systemUTC());
    private int port;
    private volatile CompletableFuture<Void> opened = new CompletableFuture<>();
    private volatile boolean serves = true;

    @AfterEach
    void close() {
        log.close();
        vertx.close().toCompletionStage().toCompletableFuture().join();
    }

    @Test
    void knowsThatTheNodeDoesNotHaveTheAddress() {
        // Given
        Listener listener = listener(OF_NOBODY, 0, Future.succeededFuture(false));
        // When
        await(listener::start);
        // Then
        assertThat(listener.up()).isFalse();
        assertThat(listener.absent()).isTrue();
        assertThat(log.all()).singleElement().asString().contains("nothing, if this node");
        assertThat(time.pending()).as("retries").isEqualTo(1);
    }

    @Test
    void takesAnAddressWhosePortIsTakenForOneThatIsThere() throws IOException {
        // Given
        try (ServerSocket other = new ServerSocket(0, 1, InetAddress.getByName("127.0.0.1"))) {
            Listener listener = listener("127.0.0.1", other.getLocalPort(), Future.succeededFuture(true));
            // When
            await(listener::start);
            // Then
            assertThat(listener.up()).isFalse();
            assertThat(listener.absent()).isFalse();
            assertThat(log.all()).singleElement().asString().contains("stop the process that uses the port");
        }
    }

    @Test
    void takesAnAddressOfWhichNothingCanBeFoundOutForOneThatIsThere() {
        // Given
        Listener listener = listener(OF_NOBODY, 0, Future.failedFuture(new IOException("Too many open files")));
        // When
        await(listener::start);
        // Then
        assertThat(listener.absent()).isFalse();
    }

    @Test
    void listensOnceTheAddressIsFreeAndSaysWhatIsInTheWayOnce() throws IOException {
        // Given
        Listener listener;
        try (ServerSocket other = new ServerSocket(0, 1, InetAddress.getByName("127.0.0.1"))) {
            listener = listener("127.0.0.1", other.getLocalPort(), Future.succeededFuture(true));
            await(listener::start);
            await(listener::start);
        }
        // When
        await(listener::start);
        // Then
        assertThat(listener.up()).isTrue();
        assertThat(log.all()).hasSize(2);
        assertThat(log.all().get(0)).contains("cannot be bound");
        assertThat(log.all().get(1)).contains("Listening");
    }

    @Test
    void waitsBesideAnotherAgentUntilItCanServeAsWell() {
        // Given
        sharing.others = ANOTHER_AGENT;
        serves = false;
        Listener listener = listener("127.0.0.1", 0, Future.succeededFuture(true));
        // When
        await(listener::start);
        pass(listener, Duration.ofMinutes(5));
        // Then
        assertThat(listener.up()).isFalse();
        assertThat(listener.absent()).as("it is required").isFalse();
        assertThat(log.all()).singleElement().asString().contains("waiting until this one can take over");
        // When
        serves = true;
        pass(listener, Listener.LOOK);
        // Then
        assertThat(listener.up()).isTrue();
        assertThat(listener.state().shared().getAsBoolean()).isTrue();
    }

    @Test
    void listensAtOnceWhenTheOtherAgentIsGone() {
        // Given
        sharing.others = ANOTHER_AGENT;
        serves = false;
        Listener listener = listener("127.0.0.1", 0, Future.succeededFuture(true));
        await(listener::start);
        // When
        sharing.others = NOBODY;
        pass(listener, Listener.LOOK);
        // Then
        assertThat(listener.up()).isTrue();
        assertThat(listener.state().shared().getAsBoolean()).isFalse();
    }

    @Test
    void waitsForNobodyOnANodeOfItsOwn() {
        // Given
        serves = false;
        Listener listener = listener("127.0.0.1", 0, Future.succeededFuture(true));
        // When
        await(listener::start);
        // Then
        assertThat(listener.up()).isTrue();
    }

    @Test
    void servesThoughItCannotFindOutWhoElseListens() {
        // Given
        sharing.failure = Optional.of(new IOException("Too many open files"));
        Listener listener = listener("127.0.0.1", 0, Future.succeededFuture(true));
        // When
        await(listener::start);
        // Then
        assertThat(listener.up()).isTrue();
    }

    @Test
    void takesAPortLongBeforeItsTimeWhenWhoeverHadItLeaves() throws IOException {
        // Given
        Listener listener;
        try (ServerSocket other = new ServerSocket(0, 1, InetAddress.getByName("127.0.0.1"))) {
            sharing.closed = true;
            listener = listener("127.0.0.1", other.getLocalPort(), Future.succeededFuture(true));
            await(listener::start);
            pass(listener, Listener.LOOK);
            assertThat(listener.up()).isFalse();
        }
        // When
        sharing.closed = false;
        pass(listener, Listener.LOOK);
        // Then
        assertThat(listener.up()).isTrue();
    }

    @Test
    void seesAnotherAgentComeAndGo() {
        // Given
        Listener listener = listener("127.0.0.1", 0, Future.succeededFuture(true));
        await(listener::start);
        // When
        sharing.others = ANOTHER_AGENT;
        pass(listener, Listener.WATCH);
        // Then
        assertThat(listener.state().shared().getAsBoolean()).isTrue();
        // When
        sharing.others = NOBODY;
        pass(listener, Listener.WATCH);
        // Then
        assertThat(listener.state().shared().getAsBoolean()).isFalse();
        assertThat(log.all()).hasSize(3);
        assertThat(log.all().get(1)).contains("Another process also listens on this address");
        assertThat(log.all().get(2)).contains("No other process listens on this address any more");
    }

    @Test
    void leavesAnAddressToNobodyAtAStop() {
        // Given
        Listener listener = listener("127.0.0.1", 0, Future.succeededFuture(true));
        await(listener::start);
        // When
        CompletableFuture<Boolean> handedOver = handOver(listener);
        // Then
        assertThat(handedOver).isCompletedWithValue(false);
        assertThat(sharing.steered).isEmpty();
        assertThat(listener.up()).as("when it is to cease is for the caller to say").isTrue();
    }

    @Test
    void ceasesToAcceptOnlyWhenNewConnectionsGoToTheOtherAgent() {
        // Given
        Listener listener = listener("127.0.0.1", 0, Future.succeededFuture(true));
        await(listener::start);
        sharing.others = new Listening(1, 1);
        // When
        CompletableFuture<Boolean> handedOver = handOver(listener);
        pass(listener, Listener.QUIET.multipliedBy(2));
        // Then
        assertThat(sharing.steered).containsExactly(1);
        assertThat(handedOver).as("a connection waits to be accepted").isNotDone();
        assertThat(listener.up()).isTrue();
        // When
        sharing.others = ANOTHER_AGENT;
        pass(listener, Listener.ON_ITS_WAY);
        // Then
        assertThat(handedOver).succeedsWithin(TIMEOUT.multipliedBy(6)).isEqualTo(true);
        assertThat(listener.up()).isFalse();
    }

    @Test
    void sendsConnectionsToTheOtherSocketWhenItFindsThatItSentThemToItself() throws IOException {
        // Given
        Listener listener = listener("127.0.0.1", 0, Future.succeededFuture(true));
        await(listener::start);
        sharing.others = ANOTHER_AGENT;
        CompletableFuture<Boolean> handedOver = handOver(listener);
        // When
        pass(listener, Listener.ON_ITS_WAY.multipliedBy(2).minusMillis(1));
        connect();
        pass(listener, Duration.ofMillis(1));
        // Then
        assertThat(sharing.steered).containsExactly(1, 0);
        assertThat(handedOver).isNotDone();
        // When
        pass(listener, Listener.QUIET);
        // Then
        assertThat(handedOver).succeedsWithin(TIMEOUT.multipliedBy(6)).isEqualTo(true);
        assertThat(sharing.steered).containsExactly(1, 0);
    }

    @Test
    void takesNoLongerThanItMayToLeaveAnAddress() {
        // Given
        Listener listener = listener("127.0.0.1", 0, Future.succeededFuture(true));
        await(listener::start);
        sharing.others = new Listening(1, 1);
        // When
        CompletableFuture<Boolean> handedOver = handOver(listener);
        pass(listener, TIMEOUT);
        // Then
        assertThat(handedOver).succeedsWithin(TIMEOUT.multipliedBy(6)).isEqualTo(true);
    }

    @Test
    void saysThatTheKernelDoesNotSendConnectionsElsewhere() {
        // Given
        sharing.steers = false;
        Listener listener = listener("127.0.0.1", 0, Future.succeededFuture(true));
        await(listener::start);
        sharing.others = ANOTHER_AGENT;
        // When
        CompletableFuture<Boolean> handedOver = handOver(listener);
        // Then
        assertThat(handedOver).succeedsWithin(TIMEOUT.multipliedBy(6)).isEqualTo(true);
        assertThat(log.all()).last().asString().contains("some may be lost");
    }

    private Listener listener(String host, int port, Future<Boolean> onThisNode) {
        return new Listener(
                "credentials",
                host,
                port,
                this::accept,
                sharing,
                () -> serves,
                asked -> onThisNode,
                RETRY,
                time.nanos(),
                time);
    }

    private Acceptor acceptor() {
        Connections connections = new Connections(
                ConnectionLimits.credentials(10, 10, TIMEOUT), metrics, new LimitReport(metrics, time.nanos()));
        return new CredentialsAcceptor(
                loop,
                name -> Future.failedFuture(name + " is not an address"),
                connections,
                (head, client) -> { },
                Optional.empty(),
                TIMEOUT);
    }

    /** Accepts connections, and records the port and each connection. */
    private Future<Accepting> accept(String host, int anyPort, Runnable listener) {
        return acceptor()
                .listen(host, anyPort, () -> {
                    listener.run();
                    opened.complete(null);
                })
                .onSuccess(accepting -> port = accepting.port());
    }

    private void connect() throws IOException {
        opened = new CompletableFuture<>();
        try (Socket socket = new Socket("127.0.0.1", port)) {
            opened.orTimeout(30, TimeUnit.SECONDS).join();
        }
    }

    /** Starts to leave the address, up to the first wait. */
    private CompletableFuture<Boolean> handOver(Listener listener) {
        CompletableFuture<Boolean> done = new CompletableFuture<>();
        long until = time.nanos().getAsLong() + TIMEOUT.toNanos();
        loop.execute(() -> listener.handOver(until).onSuccess(done::complete));
        settle(listener);
        return done;
    }

    /** Advances time on the loop in small steps, and completes what starts meanwhile. */
    private void pass(Listener listener, Duration duration) {
        Instant until = time.now().plus(duration);
        while (time.now().isBefore(until)) {
            Duration left = Duration.between(time.now(), until);
            Duration step = left.compareTo(STEP) < 0 ? left : STEP;
            await(() -> {
                time.advance(step);
                return Future.succeededFuture();
            });
            settle(listener);
        }
    }

    /** Binding and closing take several turns of the loop. */
    private void settle(Listener listener) {
        await(() -> acceptor().listen("127.0.0.1", 0, () -> { }).compose(Accepting::close));
        await(Future::succeededFuture);
    }

    private void await(Supplier<Future<Void>> start) {
        CompletableFuture<Void> done = new CompletableFuture<>();
        loop.execute(() -> start.get().onComplete(result -> done.complete(null)));
        done.orTimeout(30, TimeUnit.SECONDS).join();
    }

    /** A port that other processes use as the test says. */
    private static final class FakeSharing implements PortSharing {

        private final List<Integer> steered = new CopyOnWriteArrayList<>();
        private volatile Listening others = NOBODY;
        private volatile Optional<IOException> failure = Optional.empty();
        private volatile boolean steers = true;
        private volatile boolean closed;

        @Override
        public Future<State> state() {
            State state = closed ? State.CLOSED : others.others() > 0 ? State.SHARED : State.FREE;
            return failure.<Future<State>>map(Future::failedFuture).orElseGet(() -> Future.succeededFuture(state));
        }

        @Override
        public Future<Listening> look() {
            return failure.<Future<Listening>>map(Future::failedFuture).orElseGet(() -> Future.succeededFuture(others));
        }

        @Override
        public Future<Boolean> steer(int number) {
            steered.add(number);
            return Future.succeededFuture(steers);
        }
    }
}
