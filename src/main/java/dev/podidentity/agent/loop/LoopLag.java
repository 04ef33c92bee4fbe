package dev.podidentity.agent.loop;

import java.time.Duration;
import java.util.function.LongConsumer;
import java.util.function.LongSupplier;

/**
 * Measures the lag of the event loop. Twice a second it schedules a task; the delay of that task is how long a request that
 * arrived at the same time waited for its turn. Confined to the event loop.
 */
public final class LoopLag {

    static final Duration INTERVAL = Duration.ofMillis(500);

    private final Timers timers;
    private final LongSupplier nanos;
    private final LongConsumer measured;

    /**
     * @param nanos a monotonic clock
     * @param measured receives each lag in nanoseconds
     */
    public LoopLag(Timers timers, LongSupplier nanos, LongConsumer measured) {
        this.timers = timers;
        this.nanos = nanos;
        this.measured = measured;
    }

    /** Starts to measure, for as long as the loop runs. */
    public void start() {
        long due = nanos.getAsLong() + INTERVAL.toNanos();
        timers.schedule(INTERVAL, () -> {
            measured.accept(Math.max(0, nanos.getAsLong() - due));
            start();
        });
    }
}
