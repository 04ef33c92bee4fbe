package dev.podidentity.agent.testing;

import dev.podidentity.agent.apiserver.ApiServer;
import dev.podidentity.agent.apiserver.ApiServerAddress;
import dev.podidentity.agent.loop.EventLoop;
import dev.podidentity.agent.outbound.CallFailure;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.VertxOptions;
import io.vertx.core.file.FileSystemOptions;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Supplier;

/** Provides a real event loop and a fake clock. The code under test runs on the loop; the test runs outside it. */
public final class LoopFixture implements AutoCloseable {

    /** Long enough that a test exceeds it only if something is broken. */
    private static final long PATIENCE_SECONDS = 30;

    public final Vertx vertx = Vertx.vertx(new VertxOptions()
            .setEventLoopPoolSize(1)
            .setFileSystemOptions(new FileSystemOptions().setClassPathResolvingEnabled(false).setFileCachingEnabled(false)));
    public final EventLoop loop = new EventLoop(vertx, vertx.getOrCreateContext());
    public final Executor worker = task -> vertx.executeBlocking(() -> {
        task.run();
        return null;
    }, false);
    /** Accessed only on the loop. */
    public final FakeTime time = new FakeTime();
    /** The event loop, with timers driven by {@link #time}. */
    public final TestLoop timedLoop = new TestLoop(time, loop);

    private final List<ApiServer> apis = new ArrayList<>();

    /**
     * Creates an API server client that takes its time from {@link #time}. It is closed together with this fixture.
     *
     * @param serviceAccount the directory with the agent's own token and CA certificate
     */
    public ApiServer api(URI url, Path serviceAccount) {
        ApiServer api = new ApiServer(vertx, new ApiServerAddress(url, serviceAccount), timedLoop, worker, time.nanos());
        apis.add(api);
        return api;
    }

    /** Creates a client of a plain HTTP API server that requires no token. */
    public ApiServer api(URI url) {
        return api(url, Path.of("no-service-account"));
    }

    /** Creates a future on the loop, waits for it and returns its result. */
    public <T> T result(Supplier<Future<T>> made) {
        try {
            return outcome(made).get(PATIENCE_SECONDS, TimeUnit.SECONDS);
        } catch (ExecutionException e) {
            throw new AssertionError("The future failed: " + e.getCause().getMessage(), e.getCause());
        } catch (InterruptedException | TimeoutException e) {
            throw new AssertionError("The future did not complete in time", e);
        }
    }

    /** Creates a future on the loop, waits for it and returns its failure. */
    public CallFailure failure(Supplier<? extends Future<?>> made) {
        return failure(outcome(made::get));
    }

    public CallFailure failure(CompletableFuture<?> outcome) {
        try {
            throw new AssertionError("The future did not fail but completed with " + outcome.get(PATIENCE_SECONDS, TimeUnit.SECONDS));
        } catch (ExecutionException e) {
            if (e.getCause() instanceof CallFailure failure) {
                return failure;
            }
            throw new AssertionError("The future failed with an unexpected exception", e.getCause());
        } catch (InterruptedException | TimeoutException e) {
            throw new AssertionError("The future did not complete in time", e);
        }
    }

    /** Creates a future on the loop, without waiting for it. */
    public <T> CompletableFuture<T> outcome(Supplier<? extends Future<? extends T>> made) {
        CompletableFuture<T> outcome = new CompletableFuture<>();
        loop.execute(() -> made.get().onComplete(result -> {
            if (result.succeeded()) {
                outcome.complete(result.result());
            } else {
                outcome.completeExceptionally(result.cause());
            }
        }));
        return outcome;
    }

    /** Runs a task on the loop, waits for it and returns its result. */
    public <T> T call(Supplier<T> task) {
        return result(() -> Future.succeededFuture(task.get()));
    }

    public void run(Runnable task) {
        call(() -> {
            task.run();
            return true;
        });
    }

    public void advance(Duration duration) {
        run(() -> time.advance(duration));
    }

    /** Waits until a condition holds. It is checked on the loop, every millisecond. */
    public void until(Supplier<Boolean> condition) {
        CompletableFuture<Void> seen = new CompletableFuture<>();
        loop.execute(() -> look(condition, seen));
        try {
            seen.get(PATIENCE_SECONDS, TimeUnit.SECONDS);
        } catch (InterruptedException | ExecutionException | TimeoutException e) {
            seen.cancel(false);
            throw new AssertionError("The condition was not met in time", e);
        }
    }

    private void look(Supplier<Boolean> condition, CompletableFuture<Void> seen) {
        if (seen.isDone()) {
            return;
        }
        if (condition.get()) {
            seen.complete(null);
        } else {
            vertx.setTimer(1, fired -> look(condition, seen));
        }
    }

    @Override
    public void close() {
        run(() -> apis.forEach(ApiServer::close));
        vertx.close().toCompletionStage().toCompletableFuture().join();
    }
}
