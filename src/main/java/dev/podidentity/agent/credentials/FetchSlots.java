package dev.podidentity.agent.credentials;

import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Lets a bounded number of calls to EKS Auth run at once for waiting pods. The ones beyond wait in a queue for each
 * source address, and the sources take turns, so that a pod that asks for thousands of identities delays only itself.
 * What the flights of one source, and of all, may hold in memory is bounded by the size of their tokens. Renewals do
 * not pass here. Confined to the event loop.
 */
final class FetchSlots {

    /** Thousands of flights with tokens of usual size (1 to 4 KiB). */
    private static final long MOST_BYTES = 32L * 1024 * 1024;
    private static final long MOST_BYTES_PER_SOURCE = MOST_BYTES / 4;
    /** What each source may hold even when others have taken all: some tens of flights. */
    private static final long RESERVED_PER_SOURCE = 64L * 1024;
    /** About what a flight takes beside its token. */
    private static final int OVERHEAD = 1024;

    private final Map<String, Long> admitted = new HashMap<>();
    private final Map<String, ArrayDeque<Runnable>> queues = new LinkedHashMap<>();
    private long admittedBytes;
    private int free;

    FetchSlots(int slots) {
        free = slots;
    }

    /** Counts a flight in; false if its source, or all together, hold too much already. */
    boolean admit(String source, int bytes) {
        long size = bytes + OVERHEAD;
        long ofSource = admitted.getOrDefault(source, 0L) + size;
        boolean room = ofSource <= MOST_BYTES_PER_SOURCE && admittedBytes + size <= MOST_BYTES;
        if (!room && ofSource > RESERVED_PER_SOURCE) {
            return false;
        }
        admitted.put(source, ofSource);
        admittedBytes += size;
        return true;
    }

    /** Counts a flight out that was counted in. */
    void leave(String source, int bytes) {
        long size = bytes + OVERHEAD;
        admitted.computeIfPresent(source, (key, held) -> held == size ? null : held - size);
        admittedBytes -= size;
    }

    /** Runs the call when there is a slot for it, now or later. Each run must be followed by one {@link #release}. */
    void acquire(String source, Runnable call) {
        if (free > 0) {
            free--;
            call.run();
        } else {
            queues.computeIfAbsent(source, key -> new ArrayDeque<>()).add(call);
        }
    }

    /** Takes a call back that has not run; does nothing if it has. */
    void withdraw(String source, Runnable call) {
        queues.computeIfPresent(source, (key, queue) -> {
            queue.remove(call);
            return queue.isEmpty() ? null : queue;
        });
    }

    /** Gives a slot back. */
    void release() {
        Iterator<Map.Entry<String, ArrayDeque<Runnable>>> first = queues.entrySet().iterator();
        if (!first.hasNext()) {
            free++;
            return;
        }
        Map.Entry<String, ArrayDeque<Runnable>> turn = first.next();
        String source = turn.getKey();
        ArrayDeque<Runnable> queue = turn.getValue();
        first.remove();
        Runnable call = queue.remove();
        if (!queue.isEmpty()) {
            queues.put(source, queue);
        }
        call.run();
    }
}
