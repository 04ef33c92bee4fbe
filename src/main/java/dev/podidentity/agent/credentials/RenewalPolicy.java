package dev.podidentity.agent.credentials;

import dev.podidentity.agent.loop.Backoff;
import java.time.Duration;
import java.time.Instant;

/**
 * Decides when credentials are renewed, and for how long they are handed out without asking for fresher ones. Pure:
 * state and time in, a duration out.
 *
 * @param retention the age at which credentials are renewed at the latest; zero where nothing is cached
 */
record RenewalPolicy(Duration retention) {

    /** SDKs renew their own copy from 15 minutes before its expiry, some of them at every call. */
    static final Duration LEAST_LEFT = Duration.ofMinutes(15);
    private static final Duration LEAST_FRESH = Duration.ofMinutes(1);
    /** All credentials of a node that starts come at one time; without this they would be renewed at one time. */
    private static final double SPREAD = 0.1;
    /** A call with the pauses of its retries takes 15 s at most; the rest is for clocks that differ. */
    private static final Duration LEAST_TOKEN_LIFE = Duration.ofSeconds(60);
    private static final Backoff RETRIES = new Backoff(Duration.ofSeconds(5), 2, Duration.ofMinutes(5));

    /**
     * How long after they came credentials are renewed: after the earlier of the retention and two thirds of the
     * lifetime, spread by a tenth either way.
     *
     * @param random from 0 to 1
     */
    Duration renewAfter(Credentials credentials, double random) {
        Duration twoThirds = credentials.lifetime().multipliedBy(2).dividedBy(3);
        Duration age = retention.compareTo(twoThirds) < 0 ? retention : twoThirds;
        return scaled(age, 1 - SPREAD + 2 * SPREAD * random);
    }

    /**
     * How long after a renewal that failed it is tried again: 5 s, doubling to 5 minutes, each shortened by up to a half, and
     * never later than half-way to the expiry.
     *
     * @param failures how many renewals failed in a row, at least 1
     * @param random from 0 to 1
     */
    Duration retryAfter(Credentials credentials, int failures, Instant now, double random) {
        Duration pause = RETRIES.pause(failures, random);
        Duration halfway = credentials.leftAt(now).dividedBy(2);
        return pause.compareTo(halfway) < 0 ? pause : halfway;
    }

    /** Whether a token can still be used to renew with. */
    boolean tokenUsable(Instant tokenExpiresAt, Instant now) {
        return tokenExpiresAt.isAfter(now.plus(LEAST_TOKEN_LIFE));
    }

    /** Whether credentials have so much time left that nobody would gain by fresher ones. */
    boolean fresh(Credentials credentials, Instant now) {
        return credentials.leftAt(now).compareTo(LEAST_LEFT) >= 0;
    }

    /**
     * Whether credentials will be fresh for some time. 15 minutes are what STS gives at least, and would cease to be
     * fresh as they come.
     */
    boolean longLived(Credentials credentials) {
        return credentials.lifetime().compareTo(LEAST_LEFT.plus(LEAST_FRESH)) >= 0;
    }

    /**
     * How long credentials that have just come are handed out without asking for fresher ones although they are not
     * {@linkplain #fresh fresh}: EKS Auth has given ones that are not {@linkplain #longLived long-lived} twice in a row,
     * so that it would again. A third of their lifetime.
     */
    Duration holdFor(Credentials credentials) {
        return credentials.lifetime().dividedBy(3);
    }

    private static Duration scaled(Duration duration, double factor) {
        return Duration.ofMillis((long) (duration.toMillis() * factor));
    }
}
