package dev.podidentity.agent.credentials;

import dev.podidentity.agent.eksauth.PermanentFailure;
import dev.podidentity.agent.loop.Backoff;
import java.time.Duration;

/**
 * Decides when a call that failed for a transient reason is retried, how long a flight continues without waiting requests,
 * and how long a refusal is remembered. A pure function.
 *
 * @param flightTimeout how long a flight may run once no request waits for it, and how long one call may hang
 */
record RetryPolicy(Duration flightTimeout) {

    private static final int MOST_TOKENS = 5;
    private static final Duration SHORTEST_PAUSE = Duration.ofMillis(250);
    /** Java's SDK gives up after six requests of 0.9 s, so one that starts at any time sees an attempt. */
    private static final Duration LONGEST_PAUSE = Duration.ofSeconds(4);
    /** A pause is this fraction of the time for which calls have failed, so it stays short while SDKs still retry. */
    private static final int PART = 32;
    /** SDKs that pause between their requests do so for a second. */
    private static final Duration UNTIL_THE_RETRY = Duration.ofSeconds(3);
    private static final Duration FIRST_MEMORY = Duration.ofMillis(250);
    private static final Backoff MEMORY = new Backoff(FIRST_MEMORY, 2, Duration.ofSeconds(5));
    /** A new association appears within seconds. A client that asks repeatedly is then served within a second. */
    private static final Backoff MEMORY_OF_NO_ASSOCIATION = new Backoff(FIRST_MEMORY, 2, Duration.ofMillis(500));

    /**
     * Returns the pause before the next attempt.
     *
     * @param troubled for how long all attempts for the identity have failed
     * @param random from 0 to 1: shortens the pause by up to a half, so that flights spread out
     */
    Duration pause(Duration troubled, double random) {
        return Backoff.jittered(part(troubled, LONGEST_PAUSE), random);
    }

    /** The fraction of the duration of a failure that passes before the next attempt. */
    static Duration part(Duration troubled, Duration longest) {
        Duration part = troubled.dividedBy(PART);
        if (part.compareTo(SHORTEST_PAUSE) < 0) {
            return SHORTEST_PAUSE;
        }
        return part.compareTo(longest) < 0 ? part : longest;
    }

    /**
     * Returns whether to make another attempt for clients that may return, although no request waits.
     *
     * @param deserted for how long no request has waited
     */
    boolean goesOnForNobody(Duration deserted) {
        return deserted.compareTo(UNTIL_THE_RETRY) < 0;
    }

    /**
     * Returns whether a flight may use another pod's token.
     *
     * @param refused how many of its tokens EKS Auth has refused
     */
    boolean mayUseAnotherToken(int refused) {
        return refused < MOST_TOKENS;
    }

    /**
     * Returns how long a refusal is returned without a call.
     *
     * @param step consecutive refusals of the identity, at least 1
     * @param random from 0 to 1: shortens the time by up to a half
     */
    Duration memoryOf(PermanentFailure refusal, int step, double random) {
        boolean noAssociation = refusal.reason() == PermanentFailure.Reason.NO_ASSOCIATION;
        return (noAssociation ? MEMORY_OF_NO_ASSOCIATION : MEMORY).pause(step, random);
    }
}
