package dev.podidentity.agent.credentials;

/**
 * How often the whole node may call EKS Auth while EKS Auth throttles it: additive increase, multiplicative decrease. EKS
 * Auth's quota is the account's, so every node of it has to slow down, whichever of them was told; with AIMD nodes that
 * share a quota settle at equal shares of it without knowing of each other. Until EKS Auth throttles there is no limit.
 *
 * <p>A throttled call halves the rate, once a second at most, since the calls that are under way then will be throttled
 * too. The rate grows by {@value #GROWTH} calls a second each second, whether calls are made or not. Confined to the event
 * loop.
 */
final class CallPace {

    private static final double NANOS_PER_SECOND = 1e9;
    private static final long CUT_INTERVAL = 1_000_000_000L;
    private static final double DECREASE = 0.5;
    /** Calls a second, each second. A node that is throttled all the time makes about as many a second. */
    static final int GROWTH = 5;
    private static final double LEAST = 2;
    /** No node needs as much for long, so this is no limit any more. */
    private static final double UNLIMITED = 100;

    private boolean slowed;
    private double rateAtCut;
    private long cutAt;
    /** Calls in the second that is being counted, and in the one before it. */
    private int calls;
    private int callsBefore;
    private long countedFrom;
    /** While slowed: when the next call may be made. */
    private long nextAt;

    /** @param now nanoseconds of a monotonic clock */
    CallPace(long now) {
        countedFrom = now;
    }

    /** Counts a call that is made now. */
    void called(long now) {
        count(now);
        calls++;
        if (slowed(now)) {
            nextAt = now + (long) (NANOS_PER_SECOND / rate(now));
        }
    }

    /** EKS Auth has throttled a call. */
    void throttled(long now) {
        count(now);
        if (slowed && now - cutAt < CUT_INTERVAL) {
            return;
        }
        double rate = Math.max(calls, callsBefore);
        if (slowed(now)) {
            rate = Math.min(rate, rate(now));
        }
        rateAtCut = Math.max(LEAST, rate * DECREASE);
        cutAt = now;
        slowed = true;
        nextAt = now + (long) (NANOS_PER_SECOND / rateAtCut);
    }

    /** Whether there is a limit now. */
    boolean slowed(long now) {
        if (slowed && rate(now) >= UNLIMITED) {
            slowed = false;
        }
        return slowed;
    }

    /** The time until the next call may be made, in nanoseconds; 0 or less if it may be made now. */
    long untilNext(long now) {
        return slowed(now) ? nextAt - now : 0;
    }

    private double rate(long now) {
        return rateAtCut + GROWTH * (now - cutAt) / NANOS_PER_SECOND;
    }

    private void count(long now) {
        long seconds = (now - countedFrom) / CUT_INTERVAL;
        if (seconds > 0) {
            callsBefore = seconds == 1 ? calls : 0;
            calls = 0;
            countedFrom += seconds * CUT_INTERVAL;
        }
    }
}
