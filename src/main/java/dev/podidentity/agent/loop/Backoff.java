package dev.podidentity.agent.loop;

import java.time.Duration;

/**
 * Exponential backoff with a maximum and jitter. Each delay is longer than the last, up to the maximum. Jitter shortens it
 * by up to half, so that clients that failed together do not retry together. Pure.
 *
 * @param first the delay after the first failure, before jitter
 * @param growth the factor from one delay to the next, at least 1
 * @param longest the maximum delay, before jitter
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
     * Returns the delay before the next attempt.
     *
     * @param failures the number of consecutive failed attempts, at least 1
     * @param random from 0 to 1; 0 gives the full delay
     */
    public Duration pause(int failures, double random) {
        return jittered(step(failures), random);
    }

    /**
     * Applies the same jitter to a given delay.
     *
     * @param random from 0 to 1; 0 gives the full delay
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
