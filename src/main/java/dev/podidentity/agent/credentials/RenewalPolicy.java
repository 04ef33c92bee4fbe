package dev.podidentity.agent.credentials;

import dev.podidentity.agent.loop.Backoff;
import java.time.Duration;
import java.time.Instant;

/**
 * Decides when credentials are renewed, and how long they are served without asking for fresher ones. A pure function of
 * state and time.
 *
 * @param retention maximum age of credentials before their renewal; zero if nothing is cached
 */
record RenewalPolicy(Duration retention) {

    /** SDKs renew their own copy from 15 minutes before its expiry, some of them on every call. */
    static final Duration LEAST_LEFT = Duration.ofMinutes(15);
    private static final Duration LEAST_FRESH = Duration.ofMinutes(1);
    /**
     * The credentials of a node that starts all arrive at the same time. Without jitter they would be renewed at the same
     * time.
     */
    private static final double SPREAD = 0.1;
    /** A call with its retries takes at most 15 s; the rest allows for clocks that differ. */
    private static final Duration LEAST_TOKEN_LIFE = Duration.ofSeconds(60);
    private static final Backoff RETRIES = new Backoff(Duration.ofSeconds(5), 2, Duration.ofMinutes(5));

    /**
     * Returns how long after their arrival credentials are renewed: the earlier of the retention and two thirds of their
     * lifetime, with a tenth of jitter either way.
     *
     * @param random from 0 to 1
     */
    Duration renewAfter(Credentials credentials, double random) {
        Duration twoThirds = credentials.lifetime().multipliedBy(2).dividedBy(3);
        Duration age = retention.compareTo(twoThirds) < 0 ? retention : twoThirds;
        return scaled(age, 1 - SPREAD + 2 * SPREAD * random);
    }

    /**
     * Returns when to retry a failed renewal: after 5 s, doubling to 5 minutes, each shortened by up to a half, and at the
     * latest half-way to the expiry.
     *
     * @param failures consecutive failed renewals, at least 1
     * @param random from 0 to 1
     */
    Duration retryAfter(Credentials credentials, int failures, Instant now, double random) {
        Duration pause = RETRIES.pause(failures, random);
        Duration halfway = credentials.leftAt(now).dividedBy(2);
        return pause.compareTo(halfway) < 0 ? pause : halfway;
    }

    /** Returns whether a token can still be used for a renewal. */
    boolean tokenUsable(Instant tokenExpiresAt, Instant now) {
        return tokenExpiresAt.isAfter(now.plus(LEAST_TOKEN_LIFE));
    }

    /** Returns whether credentials have so much time left that fresher ones would be of no benefit. */
    boolean fresh(Credentials credentials, Instant now) {
        return credentials.leftAt(now).compareTo(LEAST_LEFT) >= 0;
    }

    /**
     * Returns whether credentials will be fresh for some time. 15 minutes are the minimum of STS, and would no longer be
     * fresh on arrival.
     */
    boolean longLived(Credentials credentials) {
        return credentials.lifetime().compareTo(LEAST_LEFT.plus(LEAST_FRESH)) >= 0;
    }

    /**
     * Returns how long new credentials are served without asking for fresher ones although they are not {@linkplain #fresh
     * fresh}: EKS Auth has twice in a row returned ones that are not {@linkplain #longLived long-lived}, and would do so
     * again. A third of their lifetime.
     */
    Duration holdFor(Credentials credentials) {
        return credentials.lifetime().dividedBy(3);
    }

    private static Duration scaled(Duration duration, double factor) {
        return Duration.ofMillis((long) (duration.toMillis() * factor));
    }
}
