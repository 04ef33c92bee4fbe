package dev.podidentity.agent.http;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.loop.EventLoop;
import dev.podidentity.agent.testing.FakeTime;
import dev.podidentity.agent.testing.LogLines;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** What becomes of an address that cannot be bound. */
class ListenerTest {

    private static final Duration RETRY = Duration.ofSeconds(5);
    private static final String OF_NOBODY = "192.0.2.1";

    private final Vertx vertx = Vertx.vertx();
    private final EventLoop loop = new EventLoop(vertx, vertx.getOrCreateContext());
    private final FakeTime time = new FakeTime();
    private final LogLines log = new LogLines(Listener.class);

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
        assertThat(log.all()).singleElement().asString().contains("none is needed");
        assertThat(time.pending()).as("it is tried again").isEqualTo(1);
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
            assertThat(log.all()).singleElement().asString().contains("end the process that has the port");
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

    private Listener listener(String host, int port, Future<Boolean> onThisNode) {
        return new Listener(
                "credentials",
                host,
                port,
                () -> vertx.createHttpServer().requestHandler(request -> { }),
                connection -> { },
                AcceptGate.ofPods(loop, (limit, source) -> { }),
                asked -> onThisNode,
                RETRY,
                time);
    }

    private void await(Supplier<Future<Void>> start) {
        CompletableFuture<Void> done = new CompletableFuture<>();
        loop.execute(() -> start.get().onComplete(result -> done.complete(null)));
        done.orTimeout(30, TimeUnit.SECONDS).join();
    }
}
