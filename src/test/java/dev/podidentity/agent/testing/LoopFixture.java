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

/** A real event loop with a time that stands still. What is tested runs on the loop, the test outside. */
public final class LoopFixture implements AutoCloseable {

    /** Long: a test fails by it only if something is broken. */
    private static final long PATIENCE_SECONDS = 30;

    public final Vertx vertx = Vertx.vertx(new VertxOptions()
            .setEventLoopPoolSize(1)
            .setFileSystemOptions(new FileSystemOptions().setClassPathResolvingEnabled(false).setFileCachingEnabled(false)));
    public final EventLoop loop = new EventLoop(vertx, vertx.getOrCreateContext());
    public final Executor worker = task -> vertx.executeBlocking(() -> {
        task.run();
        return null;
    }, false);
    /** Confined to the loop. */
    public final FakeTime time = new FakeTime();
    /** The event loop, with timers that follow {@link #time}. */
    public final TestLoop timedLoop = new TestLoop(time, loop);

    private final List<ApiServer> apis = new ArrayList<>();

    /**
     * A client of an API server whose time is {@link #time}; it lives as long as this.
     *
     * @param serviceAccount the directory with the agent's own token and authority
     */
    public ApiServer api(URI url, Path serviceAccount) {
        ApiServer api = new ApiServer(vertx, new ApiServerAddress(url, serviceAccount), timedLoop, worker, time.nanos());
        apis.add(api);
        return api;
    }

    /** A client of an API server by plain HTTP, which asks for no token. */
    public ApiServer api(URI url) {
        return api(url, Path.of("no-service-account"));
    }

    /** What a future that is made on the loop completes with. */
    public <T> T result(Supplier<Future<T>> made) {
        try {
            return outcome(made).get(PATIENCE_SECONDS, TimeUnit.SECONDS);
        } catch (ExecutionException e) {
            throw new AssertionError("It failed: " + e.getCause().getMessage(), e.getCause());
        } catch (InterruptedException | TimeoutException e) {
            throw new AssertionError("It never ended", e);
        }
    }

    /** The failure that a future that is made on the loop ends with. */
    public CallFailure failure(Supplier<? extends Future<?>> made) {
        return failure(outcome(made::get));
    }

    public CallFailure failure(CompletableFuture<?> outcome) {
        try {
            throw new AssertionError("It did not fail: " + outcome.get(PATIENCE_SECONDS, TimeUnit.SECONDS));
        } catch (ExecutionException e) {
            if (e.getCause() instanceof CallFailure failure) {
                return failure;
            }
            throw new AssertionError("It failed with something else", e.getCause());
        } catch (InterruptedException | TimeoutException e) {
            throw new AssertionError("It never ended", e);
        }
    }

    /** Starts something on the loop. */
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

    /** Runs something on the loop and waits for its end. */
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

    /** Waits until something is so on the loop, looking again after whatever the loop does next. */
    public void until(Supplier<Boolean> condition) {
        CompletableFuture<Void> seen = new CompletableFuture<>();
        loop.execute(() -> look(condition, seen));
        try {
            seen.get(PATIENCE_SECONDS, TimeUnit.SECONDS);
        } catch (InterruptedException | ExecutionException | TimeoutException e) {
            seen.cancel(false);
            throw new AssertionError("It was never so", e);
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
