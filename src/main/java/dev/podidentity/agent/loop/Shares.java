package dev.podidentity.agent.loop;

import java.util.HashMap;
import java.util.Map;

/**
 * Divides a bounded amount among source addresses. There is a limit per source and one for all sources together, and each
 * source has a small reserve that the others cannot use up. The reserves may exceed the total by those of {@value #SOURCES}
 * sources, but no more, because a client may have thousands of addresses. Not thread-safe.
 */
public final class Shares {

    /** The maximum number of pods on a node that EKS supports. Each has one address. */
    public static final int SOURCES = 250;

    private final long total;
    private final long perSource;
    private final long reserve;
    private final Map<String, Long> held = new HashMap<>();
    private long heldByAll;

    /**
     * @param total what all sources together may hold
     * @param perSource what one source may hold
     * @param reserve what one source may hold even if the total is used up
     */
    public Shares(long total, long perSource, long reserve) {
        if (reserve < 0 || perSource < reserve || total < perSource) {
            throw new IllegalArgumentException(
                    "must not shrink: reserve " + reserve + ", of a source " + perSource + ", total " + total);
        }
        this.total = total;
        this.perSource = perSource;
        this.reserve = reserve;
    }

    /**
     * Takes an amount for a source, if its share and the total allow it.
     *
     * @param amount at least 1
     */
    public boolean take(String source, long amount) {
        if (amount < 1) {
            throw new IllegalArgumentException("amount must be at least 1: " + amount);
        }
        long ofSource = of(source) + amount;
        long most = ofSource <= reserve ? total + SOURCES * reserve : total;
        boolean allowed = ofSource <= perSource && heldByAll + amount <= most;
        if (allowed) {
            held.put(source, ofSource);
            heldByAll += amount;
        }
        return allowed;
    }

    /** Returns an amount that was taken. */
    public void give(String source, long amount) {
        held.compute(source, (key, ofSource) -> {
            if (ofSource == null || ofSource < amount) {
                throw new IllegalStateException("More given back than was taken: " + amount + " of " + ofSource);
            }
            return ofSource == amount ? null : ofSource - amount;
        });
        heldByAll -= amount;
    }

    /** Returns what a source holds. */
    public long of(String source) {
        return held.getOrDefault(source, 0L);
    }

    /** Returns what all sources together hold. */
    public long ofAll() {
        return heldByAll;
    }
}
