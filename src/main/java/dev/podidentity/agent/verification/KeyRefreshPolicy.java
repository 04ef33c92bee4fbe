package dev.podidentity.agent.verification;

import dev.podidentity.agent.loop.Backoff;
import java.time.Duration;

/** Decides when the cluster's keys are fetched again, and how long they are valid. A pure function. */
final class KeyRefreshPolicy {

    /** The lifetime of a token: after this time, everything that the keys have signed has been replaced. */
    static final Duration MAX_AGE = Duration.ofHours(24);

    /** The API server tells its clients to cache keys for an hour, and publishes a new key before it signs with it. */
    private static final Duration INTERVAL = Duration.ofMinutes(5);
    /** The fraction of the interval that is random, so that the agents of a cluster do not all fetch at the same time. */
    private static final double JITTER = 0.2;
    private static final Backoff AFTER_FAILURE = new Backoff(Duration.ofSeconds(1), 2, Duration.ofMinutes(1));

    /** @param random from 0 to 1 */
    Duration afterSuccess(double random) {
        return Duration.ofMillis((long) (INTERVAL.toMillis() * (1 - JITTER * random)));
    }

    /**
     * Returns the pause after failures.
     *
     * @param failures consecutive failures, at least 1
     * @param random from 0 to 1
     */
    Duration afterFailure(int failures, double random) {
        return AFTER_FAILURE.pause(failures, random);
    }
}
