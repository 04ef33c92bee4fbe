package dev.podidentity.agent.loop;

import java.time.Duration;
import java.util.function.LongConsumer;
import java.util.function.LongSupplier;

/**
 * Measures how late the event loop does what is due: twice a second something is, and how much later it is done is what
 * a request that came then waited for its turn. Confined to the event loop.
 */
public final class LoopLag {

    static final Duration INTERVAL = Duration.ofMillis(500);

    private final Timers timers;
    private final LongSupplier nanos;
    private final LongConsumer measured;

    /**
     * @param nanos the monotonic clock
     * @param measured is given each lag in nanoseconds
     */
    public LoopLag(Timers timers, LongSupplier nanos, LongConsumer measured) {
        this.timers = timers;
        this.nanos = nanos;
        this.measured = measured;
    }

    /** Begins to measure, for as long as the loop runs. */
    public void start() {
        long due = nanos.getAsLong() + INTERVAL.toNanos();
        timers.schedule(INTERVAL, () -> {
            measured.accept(Math.max(0, nanos.getAsLong() - due));
            start();
        });
    }
}
