package dev.podidentity.agent.memory;

import dev.podidentity.agent.loop.Timers;
import java.time.Duration;
import java.util.function.LongSupplier;

/**
 * Returns the heap that an idle agent does not use to the kernel. The collector runs when the young generation is full,
 * which takes an idle agent hours, and keeps what it freed for the next time. So a full collection is run when the agent
 * allocates next to nothing and a good deal can be garbage. Confined to the event loop, which a collection stops from
 * whatever thread it is run.
 */
public final class IdleHeap {

    static final Duration INTERVAL = Duration.ofSeconds(5);
    /** What probes, a scrape and a few requests allocate. */
    static final long IDLE_BYTES = 256 * 1024;
    /** What is worth a few milliseconds of a processor. */
    static final long WORTH_BYTES = 1024 * 1024;

    private final Timers timers;
    private final LongSupplier used;
    private final Runnable collect;
    private long before;
    private long needed;
    private boolean started;

    /**
     * @param used bytes of the heap that are in use or garbage
     * @param collect runs a full collection, after which no heap is kept that is not in use
     */
    public IdleHeap(Timers timers, LongSupplier used, Runnable collect) {
        this.timers = timers;
        this.used = used;
        this.collect = collect;
    }

    /** Begins to look, for as long as the loop runs. The first time, collects whatever happens: it is the garbage of the start. */
    public void start() {
        timers.schedule(INTERVAL, () -> {
            look();
            start();
        });
    }

    private void look() {
        long now = used.getAsLong();
        // Less than before means that a collection came between, as under load.
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
