package dev.podidentity.agent.verification;

import dev.podidentity.agent.loop.Loop;
import dev.podidentity.agent.loop.RefusalBackoff;
import dev.podidentity.agent.loop.Timers.Timer;
import dev.podidentity.agent.loop.TokenBucket;
import dev.podidentity.agent.observe.Field;
import dev.podidentity.agent.observe.KeyFetchResult;
import dev.podidentity.agent.observe.Metrics;
import dev.podidentity.agent.outbound.CallFailure;
import dev.podidentity.agent.verification.KeySource.PublishedKeys;
import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Executor;
import java.util.function.BiConsumer;
import java.util.function.DoubleSupplier;
import java.util.function.LongSupplier;
import org.jboss.logging.Logger;

/**
 * The current signing keys. Fetches them at startup and again every few minutes, one fetch at a time. While they cannot be
 * fetched, the last good ones are used for a day, by the monotonic clock. With a file, this also works across a restart;
 * then only the wall clock can tell how old they are.
 *
 * <p>Confined to the event loop; a worker runs everything that blocks or computes.
 */
public final class KeyRing {

    private static final Logger LOG = Logger.getLogger(KeyRing.class);
    /**
     * Fetches per second that tokens with unknown keys may cause together, because a pod could make up any number of them.
     */
    private static final double FETCHES_PER_SECOND = 0.1;
    /** How often the file is written if only the age of its keys has changed. */
    private static final Duration FILE_INTERVAL = Duration.ofHours(1);

    private final KeySource source;
    private final Optional<KeysFile> file;
    private final Optional<String> issuer;
    private final KeyRefreshPolicy policy = new KeyRefreshPolicy();
    private final Metrics metrics;
    private final Clock clock;
    private final LongSupplier nanos;
    private final Executor worker;
    private final Loop loop;
    private final DoubleSupplier random;
    private final TokenBucket wanted;

    private Runnable listener = () -> {};
    private Optional<FetchedKeys> held = Optional.empty();
    /** Until when the keys are valid, in nanoseconds of the monotonic clock. */
    private long goodUntil;
    private Optional<Timer> next = Optional.empty();
    private boolean stopped;
    private boolean readingFile;
    private boolean fetching;
    /** Consecutive failures. */
    private int failures;
    /** How many of the last consecutive failures were missing permissions. */
    private int refusals;
    private boolean writingFile;
    /** Whether the keys have changed since those that are being written. */
    private boolean changedSince;
    private boolean fileFailed;
    private Optional<Long> fileWrittenAt = Optional.empty();

    /**
     * @param source publishes the keys
     * @param file stores them across restarts; its directory must exist and be writable
     * @param issuer the issuer of the cluster's tokens, if known: keys of another issuer in the file are not used
     * @param clock dates keys in the file
     * @param nanos of a monotonic clock
     * @param worker runs what blocks or computes
     * @param loop the event loop to which this is confined
     * @param random from 0 to 1, for jitter
     */
    public KeyRing(
            KeySource source,
            Optional<Path> file,
            Optional<String> issuer,
            Metrics metrics,
            Clock clock,
            LongSupplier nanos,
            Loop loop,
            Executor worker,
            DoubleSupplier random) {
        this.source = source;
        this.file = file.map(KeysFile::new);
        this.issuer = issuer;
        this.metrics = metrics;
        this.clock = clock;
        this.nanos = nanos;
        this.worker = worker;
        this.loop = loop;
        this.random = random;
        this.wanted = new TokenBucket(FETCHES_PER_SECOND, 1, nanos.getAsLong());
    }

    /** Reads the file and starts to fetch, until {@link #stop}. */
    public void start() {
        file.ifPresent(this::readFile);
        fetch();
    }

    /** Stops fetching; a fetch in progress ends. */
    public void stop() {
        stopped = true;
        next.ifPresent(Timer::cancel);
    }

    /** Registers a callback for the end of each fetch, and for the end of reading the file. */
    void listen(Runnable news) {
        listener = news;
    }

    /**
     * Returns the keys, the same object as long as they are the same; empty if there are none, or none that are still valid.
     */
    Optional<VerificationKeys> current() {
        if (held.isPresent() && nanos.getAsLong() - goodUntil >= 0) {
            LOG.warnf("The signing keys are too old and are no longer used",
                    Field.of("fetchedAt", held.get().fetchedAt()));
            held = Optional.empty();
            metrics.keysFetchedAt(Optional.empty());
        }
        return held.map(FetchedKeys::keys);
    }

    /** Returns whether keys, or other keys, may arrive soon. */
    boolean underWay() {
        return readingFile || fetching;
    }

    /**
     * Requests a fetch, because no key is known for a token. There is at most one every ten seconds, however often this is
     * called, and none while the agent lacks the permission.
     *
     * @return whether one is in progress, so that there will be a result
     */
    boolean fetchAgain() {
        if (!underWay() && refusals == 0 && !stopped && wanted.tryTake(nanos.getAsLong())) {
            fetch();
            // A fetch that has ended immediately has already reported its result.
            return true;
        }
        return underWay();
    }

    private void fetch() {
        if (fetching || stopped) {
            return;
        }
        next.ifPresent(Timer::cancel);
        fetching = true;
        source.fetch().onComplete(fetched -> {
            if (fetched.succeeded()) {
                onWorker(() -> VerificationKeys.read(fetched.result()), (keys, error) -> {
                    if (error == null) {
                        succeeded(new FetchedKeys(fetched.result(), keys, clock.instant()));
                    } else {
                        failed(error);
                    }
                });
            } else {
                failed(fetched.cause());
            }
        });
    }

    private void succeeded(FetchedKeys fetched) {
        if (failures > 0) {
            LOG.info("The signing keys can be fetched again");
        }
        failures = 0;
        refusals = 0;
        boolean changed = hold(fetched, Duration.ZERO);
        metrics.keysFetched(KeyFetchResult.SUCCESS);
        writeFile(changed);
        fetched(policy.afterSuccess(random.getAsDouble()));
    }

    private void failed(Throwable cause) {
        failures++;
        boolean forbidden = cause instanceof CallFailure failure && failure.forbidden();
        refusals = forbidden ? refusals + 1 : 0;
        metrics.keysFetched(forbidden ? KeyFetchResult.FORBIDDEN : KeyFetchResult.FAILED);
        if (!(cause instanceof CallFailure)) {
            LOG.error("Fetching the signing keys failed unexpectedly", cause);
        } else if (failures == 1 || refusals == 1) {
            LOG.warnf("The signing keys cannot be fetched",
                    Field.of("reason", cause.getMessage()),
                    Field.of("keptUntil", held.map(kept -> clock.instant().plusNanos(goodUntil - nanos.getAsLong()))
                            .orElse(null)));
        }
        fetched(forbidden
                ? RefusalBackoff.pause(refusals, random.getAsDouble())
                : policy.afterFailure(failures, random.getAsDouble()));
    }

    private void fetched(Duration pause) {
        fetching = false;
        if (!stopped) {
            next = Optional.of(loop.schedule(pause, this::fetch));
        }
        listener.run();
    }

    /**
     * Starts to use keys.
     *
     * @param age the time since they were fetched
     * @return whether they differ from those before
     */
    private boolean hold(FetchedKeys fetched, Duration age) {
        VerificationKeys before = held.map(FetchedKeys::keys).orElse(null);
        boolean changed = !fetched.keys().equals(before);
        if (changed) {
            LOG.infof("Signing keys loaded",
                    Field.of("issuer", fetched.keys().issuer()),
                    Field.of("keys", fetched.keys().size()),
                    Field.of("fetchedAt", fetched.fetchedAt()));
        }
        goodUntil = nanos.getAsLong() + KeyRefreshPolicy.MAX_AGE.minus(age).toNanos();
        held = Optional.of(new FetchedKeys(fetched.published(), changed ? fetched.keys() : before, fetched.fetchedAt()));
        metrics.keysFetchedAt(Optional.of(fetched.fetchedAt()));
        return changed;
    }

    private void readFile(KeysFile kept) {
        readingFile = true;
        onWorker(kept::read, (content, error) -> {
            readingFile = false;
            if (error != null) {
                warnOfFile("The keys file is not used", kept, error);
            } else if (content.isPresent() && held.isEmpty()) {
                use(kept, content.get());
            }
            listener.run();
        });
    }

    private void use(KeysFile kept, FetchedKeys content) {
        if (issuer.isPresent() && !issuer.get().equals(content.published().issuer())) {
            LOG.warnf("The keys file is not used",
                    Field.of("file", kept),
                    Field.of("reason", "Its keys are of another issuer, " + content.published().issuer()));
            return;
        }
        Instant now = clock.instant();
        Duration age = Duration.between(content.fetchedAt(), now);
        if (age.compareTo(KeyRefreshPolicy.MAX_AGE) >= 0) {
            LOG.warnf("The keys file is not used",
                    Field.of("file", kept),
                    Field.of("reason", "Its keys are too old, fetched at " + content.fetchedAt()));
        } else if (age.isNegative()) {
            // The clock was or is wrong. The keys count as new, and get a new date, so that they do not count as new at each
            // start.
            hold(new FetchedKeys(content.published(), content.keys(), now), Duration.ZERO);
            writeFile(true);
        } else {
            hold(content, age);
        }
    }

    private void writeFile(boolean changed) {
        boolean due = changed || fileWrittenAt
                .map(written -> nanos.getAsLong() - written >= FILE_INTERVAL.toNanos())
                .orElse(true);
        if (file.isEmpty() || held.isEmpty() || !due) {
            return;
        }
        if (writingFile) {
            changedSince |= changed;
            return;
        }
        FetchedKeys now = held.get();
        writingFile = true;
        onWorker(() -> {
            file.get().write(now);
            return now;
        }, (written, error) -> {
            writingFile = false;
            fileWrittenAt = error == null ? Optional.of(nanos.getAsLong()) : Optional.empty();
            if (error != null && !fileFailed) {
                warnOfFile("The keys file cannot be written", file.get(), error);
            }
            fileFailed = error != null;
            boolean again = changedSince;
            changedSince = false;
            if (again) {
                writeFile(true);
            }
        });
    }

    private static void warnOfFile(String message, KeysFile file, Throwable error) {
        if (error instanceof IOException) {
            // The message of the file system's own exceptions is the path.
            String reason = error instanceof FileSystemException ? error.toString() : error.getMessage();
            LOG.warnf(message, Field.of("file", file), Field.of("reason", reason));
        } else {
            LOG.error(message, error);
        }
    }

    /** Runs a task on the worker, and then a callback on the event loop with its result or exception. */
    private <T> void onWorker(Task<T> task, BiConsumer<T, Throwable> then) {
        CompletableFuture.supplyAsync(() -> called(task), worker)
                // Not whenCompleteAsync(), which would swallow exceptions.
                .whenComplete((result, error) ->
                        loop.execute(() -> then.accept(result, error == null ? null : error.getCause())));
    }

    private static <T> T called(Task<T> task) {
        try {
            return task.run();
        } catch (IOException | CallFailure e) {
            // The future itself wraps undeclared exceptions in the same exception.
            throw new CompletionException(e);
        }
    }

    /** Reads or writes keys. */
    private interface Task<T> {

        T run() throws IOException, CallFailure;
    }

    /**
     * Fetched keys.
     *
     * @param published as they were published
     * @param keys the parsed keys
     * @param fetchedAt when they were fetched
     */
    record FetchedKeys(PublishedKeys published, VerificationKeys keys, Instant fetchedAt) {}
}
