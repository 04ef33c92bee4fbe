package dev.podidentity.agent.loop;

import java.time.Duration;

/**
 * Decides when to call the API server again after it responded that the agent lacks a permission (HTTP 403). An API server
 * that has just started refuses everyone until it has read the cluster's roles, so the first refusals only cause delays of
 * seconds. After minutes of refusals, the permission counts as missing until an administrator grants it. Pure.
 */
public final class RefusalBackoff {

    /** The number of consecutive refusals that is believed; the delays before the last of them total 3 to 6 minutes. */
    public static final int BELIEVED = 12;

    private static final Backoff WHILE_DOUBTED = new Backoff(Duration.ofSeconds(1), 2, Duration.ofMinutes(1));
    private static final Duration ONCE_BELIEVED = Duration.ofMinutes(10);

    private RefusalBackoff() {}

    /**
     * Returns the delay before the next attempt: 1, 2, 4 … 60 s, and 10 minutes once the refusals are believed.
     *
     * @param refusals the number of consecutive refusals, at least 1
     * @param random from 0 to 1: shortens the delay by up to half
     */
    public static Duration pause(int refusals, double random) {
        return believed(refusals) ? Backoff.jittered(ONCE_BELIEVED, random) : WHILE_DOUBTED.pause(refusals, random);
    }

    /** Returns whether so many consecutive refusals mean that the permission is missing. */
    public static boolean believed(int refusals) {
        return refusals >= BELIEVED;
    }
}
