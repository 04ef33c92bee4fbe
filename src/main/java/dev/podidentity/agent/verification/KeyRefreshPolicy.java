package dev.podidentity.agent.verification;

import dev.podidentity.agent.loop.Backoff;
import java.time.Duration;

/** When the cluster's keys are fetched again, and how long they are good. Pure. */
final class KeyRefreshPolicy {

    /** As long as a token lives: by then all that the keys have signed is replaced. */
    static final Duration MAX_AGE = Duration.ofHours(24);

    /** The API server tells its clients to keep keys for an hour; it publishes a new one before it signs with it. */
    private static final Duration INTERVAL = Duration.ofMinutes(5);
    /** The part of the interval that is left to chance, so that the agents of a cluster do not ask all at once. */
    private static final double JITTER = 0.2;
    private static final Backoff AFTER_FAILURE = new Backoff(Duration.ofSeconds(1), 2, Duration.ofMinutes(1));

    /** @param random from 0 to 1 */
    Duration afterSuccess(double random) {
        return Duration.ofMillis((long) (INTERVAL.toMillis() * (1 - JITTER * random)));
    }

    /**
     * The pause after failures.
     *
     * @param failures how many in a row, at least 1
     * @param random from 0 to 1
     */
    Duration afterFailure(int failures, double random) {
        return AFTER_FAILURE.pause(failures, random);
    }
}
