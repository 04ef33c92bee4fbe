package dev.podidentity.agent.loop;

/** A token bucket: a number of permits that refills at a steady rate. Not thread-safe. */
public final class TokenBucket {

    private static final double NANOS_PER_SECOND = 1e9;

    private final double perSecond;
    private final double burst;
    private double permits;
    private long filledAt;

    /**
     * @param perSecond the number of permits added each second
     * @param burst the maximum and initial number of permits
     * @param now nanoseconds of a monotonic clock
     */
    public TokenBucket(double perSecond, double burst, long now) {
        this.perSecond = perSecond;
        this.burst = burst;
        this.permits = burst;
        this.filledAt = now;
    }

    /** Takes a permit if there is one. */
    public boolean tryTake(long now) {
        refill(now);
        if (permits < 1) {
            return false;
        }
        permits--;
        return true;
    }

    /** Gives back a permit that was taken. */
    public void giveBack() {
        permits = Math.min(burst, permits + 1);
    }

    /** Returns the number of permits, rounded down. */
    public long left(long now) {
        refill(now);
        return (long) permits;
    }

    /** Returns whether there is no permit. */
    public boolean empty(long now) {
        refill(now);
        return permits < 1;
    }

    private void refill(long now) {
        permits = Math.min(burst, permits + (now - filledAt) / NANOS_PER_SECOND * perSecond);
        filledAt = now;
    }
}
