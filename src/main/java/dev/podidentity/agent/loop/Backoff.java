package dev.podidentity.agent.loop;

import java.time.Duration;

/**
 * Exponential backoff with a cap and jitter: each pause is longer than the one before, up to the longest, and is
 * shortened at random by up to a half, so that many who failed together do not all come back together. Pure.
 *
 * @param first the pause after the first failure, before jitter
 * @param growth the factor from one pause to the next, at least 1
 * @param longest the longest pause, before jitter
 */
public record Backoff(Duration first, int growth, Duration longest) {

    private static final double JITTER = 0.5;

    public Backoff {
        if (first.isNegative() || first.isZero() || longest.compareTo(first) < 0) {
            throw new IllegalArgumentException("pauses must be positive and not shrink: " + first + ", " + longest);
        }
        if (growth < 1) {
            throw new IllegalArgumentException("growth must be at least 1: " + growth);
        }
    }

    /**
     * The pause before the next attempt.
     *
     * @param failures how many attempts in a row have failed, at least 1
     * @param random from 0 to 1; 0 gives the whole pause
     */
    public Duration pause(int failures, double random) {
        return jittered(step(failures), random);
    }

    /**
     * Shortens a pause of one's own by the same jitter.
     *
     * @param random from 0 to 1; 0 gives the whole pause
     */
    public static Duration jittered(Duration pause, double random) {
        return Duration.ofNanos((long) (pause.toNanos() * (1 - JITTER * random)));
    }

    private Duration step(int failures) {
        Duration pause = first;
        for (int failure = 1; failure < failures && pause.compareTo(longest) < 0 && growth > 1; failure++) {
            pause = pause.multipliedBy(growth);
        }
        return pause.compareTo(longest) < 0 ? pause : longest;
    }
}
