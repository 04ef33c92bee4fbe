package dev.podidentity.agent.credentials;

/**
 * The rate at which the whole node may call EKS Auth while EKS Auth throttles: additive increase, multiplicative decrease.
 * The quota belongs to the account, so every node has to slow down, whichever of them is throttled. With AIMD, nodes that
 * share a quota converge to equal shares without knowing of each other. Until EKS Auth throttles, there is no limit.
 *
 * <p>A throttled call halves the rate, at most once per second, because calls in progress will be throttled too. The rate
 * grows by {@value #GROWTH} calls per second each second, whether calls are made or not. Confined to the event loop.
 */
final class CallPace {

    private static final double NANOS_PER_SECOND = 1e9;
    private static final long CUT_INTERVAL = 1_000_000_000L;
    private static final double DECREASE = 0.5;
    /** Calls per second, each second. A node that is constantly throttled makes about this many calls per second. */
    static final int GROWTH = 5;
    private static final double LEAST = 2;
    /** No node needs more for long, so the limit is lifted at this rate. */
    private static final double UNLIMITED = 100;

    private boolean slowed;
    private double rateAtCut;
    private long cutAt;
    /** Calls in the current second, and in the one before. */
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

    /** Returns whether there is a limit now. */
    boolean slowed(long now) {
        if (slowed && rate(now) >= UNLIMITED) {
            slowed = false;
        }
        return slowed;
    }

    /** Returns the time until the next call may be made, in nanoseconds; 0 or less if it may be made now. */
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
