package dev.podidentity.agent.credentials;

import dev.podidentity.agent.eksauth.EksAuthFailure;
import dev.podidentity.agent.eksauth.PermanentFailure;
import dev.podidentity.agent.loop.Backoff;
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
    /** With 5 attempts the pauses are 0.1, 0.3, 0.9 and 2 s at most: over one request's deadline, within 3 or 4. */
    private static final Backoff PAUSES = new Backoff(Duration.ofMillis(100), 3, Duration.ofSeconds(2));
    /** Java's SDK tries five times more within milliseconds, which the first pause covers. */
    private static final Duration FIRST_MEMORY = Duration.ofMillis(250);
    private static final Backoff MEMORY = new Backoff(FIRST_MEMORY, 2, Duration.ofSeconds(5));
    /** A new association appears within seconds, and is then to be found at once. */
    private static final Backoff MEMORY_OF_NO_ASSOCIATION = new Backoff(FIRST_MEMORY, 2, Duration.ofSeconds(1));
    /** The step from which on a failure is not remembered for longer. */
    private static final int LAST_STEP = 6;

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
        Duration pause = PAUSES.pause(attempts, random);
        return elapsed.plus(pause).compareTo(flightTimeout) < 0 ? Optional.of(pause) : Optional.empty();
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
     * @param failure what it was
     * @param step how often in a row the identity has failed, at least 1
     * @param random from 0 to 1: shortens it by up to a half
     */
    Duration memoryOf(EksAuthFailure failure, int step, double random) {
        boolean noAssociation = failure instanceof PermanentFailure refusal
                && refusal.reason() == PermanentFailure.Reason.NO_ASSOCIATION;
        return (noAssociation ? MEMORY_OF_NO_ASSOCIATION : MEMORY).pause(step, random);
    }

    /** The step from which on a failure is not remembered for longer. */
    int lastStep() {
        return LAST_STEP;
    }
}
