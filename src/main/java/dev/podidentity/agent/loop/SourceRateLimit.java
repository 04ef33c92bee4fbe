package dev.podidentity.agent.loop;

import java.util.OptionalLong;

/** A rate limit per source address, so that a noisy pod cannot starve the rest of its node. Not thread-safe. */
public final class SourceRateLimit {

    /** A node has some hundreds of pods. Beyond this number, the least recently used bucket is evicted. */
    private static final int MOST_SOURCES = 1024;

    private final int perSecond;
    private final int burst;
    private final BoundedMap<String, TokenBucket> buckets = new BoundedMap<>(MOST_SOURCES);

    /**
     * @param perSecond the rate per second; 0 for no limit
     * @param burst the maximum number at once
     */
    public SourceRateLimit(int perSecond, int burst) {
        this.perSecond = perSecond;
        this.burst = burst;
    }

    /**
     * Counts one more.
     *
     * @param now nanoseconds of a monotonic clock
     * @return whether it is within the limit
     */
    public boolean allows(String source, long now) {
        return perSecond == 0
                || buckets.computeIfAbsent(source, key -> new TokenBucket(perSecond, burst, now)).tryTake(now);
    }

    /** Gives back one that was counted. */
    public void giveBack(String source) {
        TokenBucket bucket = buckets.get(source);
        if (bucket != null) {
            bucket.giveBack();
        }
    }

    /** Returns how many more are within the limit now; empty if there is no limit. */
    public OptionalLong left(String source, long now) {
        if (perSecond == 0) {
            return OptionalLong.empty();
        }
        TokenBucket bucket = buckets.get(source);
        return OptionalLong.of(bucket == null ? burst : bucket.left(now));
    }

    /** Returns whether one more would exceed the limit; counts nothing. */
    public boolean exhausted(String source, long now) {
        TokenBucket bucket = buckets.get(source);
        return bucket != null && bucket.empty(now);
    }
}
