package dev.podidentity.agent.credentials;

import java.time.Duration;
import java.time.Instant;

/**
 * Decides when credentials are renewed, and for how long they are handed out without asking for fresher ones. Pure:
 * state and time in, an instant out.
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
    private static final Duration FIRST_RETRY = Duration.ofSeconds(5);
    private static final Duration LAST_RETRY = Duration.ofMinutes(5);
    private static final int STEPS = 7;

    /**
     * When to renew: at the earlier of the retention and two thirds of the lifetime, spread by a tenth either way.
     *
     * @param random from 0 to 1
     */
    Instant renewAt(Credentials credentials, double random) {
        Duration twoThirds = credentials.lifetime().multipliedBy(2).dividedBy(3);
        Duration age = retention.compareTo(twoThirds) < 0 ? retention : twoThirds;
        return credentials.fetchedAt().plus(scaled(age, 1 - SPREAD + 2 * SPREAD * random));
    }

    /**
     * When to try again after a renewal failed: after 5 s, doubling to 5 minutes, each shortened by up to a half, and
     * never later than half-way to the expiry.
     *
     * @param failures how many renewals failed in a row, at least 1
     * @param random from 0 to 1
     */
    Instant retryAt(Credentials credentials, int failures, Instant now, double random) {
        Duration pause = FIRST_RETRY.multipliedBy(1L << Math.min(failures - 1, STEPS));
        Duration capped = pause.compareTo(LAST_RETRY) < 0 ? pause : LAST_RETRY;
        Duration jittered = scaled(capped, 1 - random / 2);
        Duration halfway = credentials.leftAt(now).dividedBy(2);
        return now.plus(jittered.compareTo(halfway) < 0 ? jittered : halfway);
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
     * Until when credentials are handed out without asking for fresher ones although they are not
     * {@linkplain #fresh fresh}: EKS Auth has given ones that are not {@linkplain #longLived long-lived} twice in a row, so that it would again. A third of
     * what is left.
     */
    Instant holdUntil(Credentials credentials, Instant now) {
        return now.plus(credentials.leftAt(now).dividedBy(3));
    }

    private static Duration scaled(Duration duration, double factor) {
        return Duration.ofMillis((long) (duration.toMillis() * factor));
    }
}
