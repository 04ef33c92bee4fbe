package dev.podidentity.agent.badday;

import java.util.List;
import java.util.TreeMap;

/** Time that is excused: the test itself was stalled, or the agent's event loop was runnable but got no processor. */
final class Stalls {

    private static final int STEPS = 1_000;

    private final TreeMap<Long, Long> pauses = new TreeMap<>();
    private final TreeMap<Long, Long> delays = new TreeMap<>();

    Stalls(List<History.Pause> pauses, List<History.Delay> delays) {
        pauses.forEach(pause -> this.pauses.merge(pause.from(), pause.to(), Math::max));
        delays.forEach(delay -> this.delays.put(delay.at(), delay.nanos()));
    }

    /** Returns how much of this period is excused, in nanoseconds. */
    long within(long from, long to) {
        return Math.min(to - from, paused(from, to) + delayed(from, to));
    }

    /** Returns a time, extended by what is excused until then; {@link Long#MAX_VALUE} if the extension never ends. */
    long later(long from, long to) {
        long later = to;
        for (int step = 0; step < STEPS; step++) {
            long next = to + within(from, later);
            if (next <= later) {
                return later;
            }
            later = next;
        }
        return Long.MAX_VALUE;
    }

    private long paused(long from, long to) {
        Long first = pauses.floorKey(from);
        long sum = 0;
        for (var pause : pauses.tailMap(first == null ? from : first, true).headMap(to, true).entrySet()) {
            sum += Math.max(0, Math.min(to, pause.getValue()) - Math.max(from, pause.getKey()));
        }
        return sum;
    }

    private long delayed(long from, long to) {
        var before = delays.floorEntry(from);
        var after = delays.ceilingEntry(to);
        if (delays.isEmpty()) {
            return 0;
        }
        long begin = before == null ? delays.firstEntry().getValue() : before.getValue();
        long end = after == null ? delays.lastEntry().getValue() : after.getValue();
        return Math.max(0, end - begin);
    }
}
