package dev.podidentity.agent.memory;

import dev.podidentity.agent.loop.Timers;
import java.time.Duration;
import java.util.function.LongSupplier;

/**
 * Returns unused heap of an idle agent to the kernel. The collector only runs when the young generation is full, which takes
 * hours in an idle agent, and it keeps the freed memory. This class therefore runs a full collection when the agent
 * allocates next to nothing and enough of the heap may be garbage. Confined to the event loop, which a collection stops no
 * matter which thread starts it.
 */
public final class IdleHeap {

    static final Duration INTERVAL = Duration.ofSeconds(5);
    /** More than probes, a scrape and a few requests allocate. */
    static final long IDLE_BYTES = 256 * 1024;
    /** Enough to justify a few milliseconds of CPU time. */
    static final long WORTH_BYTES = 1024 * 1024;

    private final Timers timers;
    private final LongSupplier used;
    private final Runnable collect;
    private long before;
    private long needed;
    private boolean started;

    /**
     * @param used returns the bytes of the heap that are in use or garbage
     * @param collect runs a full collection, after which no unused heap is kept
     */
    public IdleHeap(Timers timers, LongSupplier used, Runnable collect) {
        this.timers = timers;
        this.used = used;
        this.collect = collect;
    }

    /**
     * Starts the checks, for as long as the loop runs. The first check always collects: it removes the garbage of the
     * startup.
     */
    public void start() {
        timers.schedule(INTERVAL, () -> {
            look();
            start();
        });
    }

    private void look() {
        long now = used.getAsLong();
        // A lower value means that a collection ran in between, as happens under load.
        boolean idle = now >= before && now - before <= IDLE_BYTES;
        before = now;
        if (!started || idle && now - needed >= WORTH_BYTES) {
            started = true;
            collect.run();
            needed = used.getAsLong();
            before = needed;
        }
    }
}
