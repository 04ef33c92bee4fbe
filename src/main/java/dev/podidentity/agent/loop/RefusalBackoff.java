package dev.podidentity.agent.loop;

import java.time.Duration;

/**
 * When to ask the API server again after it has answered that the agent lacks a permission (HTTP 403). One that has just
 * started says so of everybody until it has read the cluster's roles, so the first answers are only waited out for seconds.
 * Once it has repeated itself for minutes the permission is taken to be missing, and somebody has to grant it first. Pure.
 */
public final class RefusalBackoff {

    /** Refusals in a row that are believed: the pauses before the last of them are 3 to 6 minutes in all. */
    public static final int BELIEVED = 12;

    private static final Backoff WHILE_DOUBTED = new Backoff(Duration.ofSeconds(1), 2, Duration.ofMinutes(1));
    private static final Duration ONCE_BELIEVED = Duration.ofMinutes(10);

    private RefusalBackoff() {}

    /**
     * The pause before the permission is tried again: 1, 2, 4 … 60 s, and 10 minutes once the refusals are believed.
     *
     * @param refusals how many in a row, with no success between them, at least 1
     * @param random from 0 to 1: shortens the pause by up to a half
     */
    public static Duration pause(int refusals, double random) {
        return believed(refusals) ? Backoff.jittered(ONCE_BELIEVED, random) : WHILE_DOUBTED.pause(refusals, random);
    }

    /** Whether so many refusals in a row show that the permission is missing. */
    public static boolean believed(int refusals) {
        return refusals >= BELIEVED;
    }
}
