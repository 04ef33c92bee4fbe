package dev.podidentity.agent.credentials;

import java.time.Duration;
import java.util.Optional;

/**
 * Decides whether and when a call that met transient trouble is made again, and for how long its failure is remembered
 * in the end. Pure.
 *
 * @param flightTimeout the time that all calls of one flight may take together
 */
record RetryPolicy(Duration flightTimeout) {

    private static final int MOST_ATTEMPTS = 5;
    private static final Duration FIRST_PAUSE = Duration.ofMillis(100);
    /** With 5 attempts the pauses are 0.1, 0.3, 0.9 and 2 s at most: over one request's deadline, within 3 or 4. */
    private static final int PAUSE_GROWTH = 3;
    private static final Duration LONGEST_PAUSE = Duration.ofSeconds(2);
    /** Java's SDK tries five times more within milliseconds; a quarter of a second covers that. */
    private static final Duration FIRST_MEMORY = Duration.ofMillis(250);
    /** A new association takes seconds to appear, so a failure must not be remembered for longer. */
    private static final Duration LONGEST_MEMORY = Duration.ofSeconds(5);
    private static final int MEMORY_STEPS = 5;

    /**
     * The pause before the next attempt, or nothing if there is to be none.
     *
     * @param attempts how many have been made, at least 1
     * @param elapsed since the flight began
     * @param random from 0 to 1: shortens the pause by up to a half, so that many flights spread out
     */
    Optional<Duration> pauseAfter(int attempts, Duration elapsed, double random) {
        if (!attemptsLeft(attempts)) {
            return Optional.empty();
        }
        Duration pause = FIRST_PAUSE;
        for (int attempt = 1; attempt < attempts; attempt++) {
            pause = pause.multipliedBy(PAUSE_GROWTH);
        }
        Duration capped = pause.compareTo(LONGEST_PAUSE) < 0 ? pause : LONGEST_PAUSE;
        Duration jittered = Duration.ofMillis((long) (capped.toMillis() * (1 - random / 2)));
        return elapsed.plus(jittered).compareTo(flightTimeout) < 0 ? Optional.of(jittered) : Optional.empty();
    }

    /**
     * Whether a flight may make another attempt.
     *
     * @param attempts how many have been made
     */
    boolean attemptsLeft(int attempts) {
        return attempts < MOST_ATTEMPTS;
    }

    /**
     * How long a failure is answered without a call.
     *
     * @param step how often in a row the identity has failed, at least 1
     * @param random from 0 to 1: lengthens it by up to a tenth
     */
    Duration memoryOf(int step, double random) {
        Duration memory = FIRST_MEMORY.multipliedBy(1L << Math.min(step - 1, MEMORY_STEPS));
        Duration capped = memory.compareTo(LONGEST_MEMORY) < 0 ? memory : LONGEST_MEMORY;
        return Duration.ofMillis((long) (capped.toMillis() * (1 + random / 10)));
    }

    /** The step from which on a failure is not remembered for longer. */
    int lastStep() {
        return MEMORY_STEPS + 1;
    }
}
