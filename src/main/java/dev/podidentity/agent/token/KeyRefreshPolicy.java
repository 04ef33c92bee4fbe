package dev.podidentity.agent.token;

import java.time.Duration;
import java.time.Instant;

/** When the cluster's keys are fetched again, and how long they are good. Pure. */
final class KeyRefreshPolicy {

    /** The API server tells its clients to keep keys for an hour; it publishes a new one before it signs with it. */
    private static final Duration INTERVAL = Duration.ofMinutes(5);
    private static final Duration FIRST_PAUSE = Duration.ofSeconds(1);
    private static final Duration LONGEST_PAUSE = Duration.ofMinutes(1);
    /** Somebody has to grant the permission first. */
    private static final Duration FORBIDDEN_PAUSE = Duration.ofMinutes(10);
    /** As long as a token lives: by then all that the keys have signed is replaced. */
    private static final Duration MAX_AGE = Duration.ofHours(24);
    /** The part of a pause that is left to chance, so that the agents of a cluster do not ask all at once. */
    private static final double JITTER = 0.2;

    /** @param random from 0 to 1 */
    Duration afterSuccess(double random) {
        return jittered(INTERVAL, random);
    }

    /**
     * The pause after failures.
     *
     * @param failures how many in a row, at least 1
     * @param random from 0 to 1
     */
    Duration afterFailure(int failures, double random) {
        int doublings = Math.min(failures - 1, 30);
        Duration doubled = FIRST_PAUSE.multipliedBy(1L << doublings);
        return jittered(doubled.compareTo(LONGEST_PAUSE) < 0 ? doubled : LONGEST_PAUSE, random);
    }

    /** @param random from 0 to 1 */
    Duration afterForbidden(double random) {
        return jittered(FORBIDDEN_PAUSE, random);
    }

    /** Until when keys are good that were fetched at that time and not since. */
    Instant goodUntil(Instant fetchedAt) {
        return fetchedAt.plus(MAX_AGE);
    }

    private static Duration jittered(Duration pause, double random) {
        return Duration.ofMillis((long) (pause.toMillis() * (1 - JITTER * random)));
    }
}
