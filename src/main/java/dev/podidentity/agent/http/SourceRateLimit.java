package dev.podidentity.agent.http;

import dev.podidentity.agent.limits.TokenBucket;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Limits the requests of each source address, so that a noisy pod cannot starve the rest of its node. Confined to the
 * event loop.
 */
final class SourceRateLimit {

    /** A node has some hundreds of pods. The bucket that was used least recently goes first. */
    private static final int MOST_SOURCES = 4096;

    private final int perSecond;
    private final int burst;
    private final Map<String, TokenBucket> buckets = new LinkedHashMap<>(64, 0.75f, true) {

        private static final long serialVersionUID = 1L;

        @Override
        protected boolean removeEldestEntry(Map.Entry<String, TokenBucket> eldest) {
            return size() > MOST_SOURCES;
        }
    };

    /** @param perSecond requests a second; 0 for no limit */
    SourceRateLimit(int perSecond, int burst) {
        this.perSecond = perSecond;
        this.burst = burst;
    }

    /**
     * Counts a request.
     *
     * @param now nanoseconds of a monotonic clock
     * @return whether it may go on
     */
    boolean allows(String source, long now) {
        return perSecond == 0
                || buckets.computeIfAbsent(source, key -> new TokenBucket(perSecond, burst, now)).tryTake(now);
    }
}
