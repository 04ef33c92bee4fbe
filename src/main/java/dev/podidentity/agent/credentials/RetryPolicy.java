package dev.podidentity.agent.credentials;

import dev.podidentity.agent.eksauth.PermanentFailure;
import dev.podidentity.agent.loop.Backoff;
import java.time.Duration;

/**
 * Decides when a call that met transient trouble is made again, how long a flight goes on for nobody, and for how long a
 * refusal is answered from memory. Pure.
 *
 * @param flightTimeout the time after which a flight ends for which nobody waits
 */
record RetryPolicy(Duration flightTimeout) {

    private static final int MOST_TOKENS = 5;
    private static final Duration SHORTEST_PAUSE = Duration.ofMillis(250);
    /** Java's SDK gives up after six requests of 0.9 s; so one that begins at any time meets an attempt. */
    private static final Duration LONGEST_PAUSE = Duration.ofSeconds(4);
    /** A pause is such a part of the time that the trouble has lasted: it stays short for as long as SDKs go on trying. */
    private static final int PART = 32;
    /** SDKs that pause between their requests do so for a second. */
    private static final Duration UNTIL_THE_RETRY = Duration.ofSeconds(3);
    private static final Duration FIRST_MEMORY = Duration.ofMillis(250);
    private static final Backoff MEMORY = new Backoff(FIRST_MEMORY, 2, Duration.ofSeconds(5));
    /** A new association appears within seconds. Whoever asks again and again is then served within a second. */
    private static final Backoff MEMORY_OF_NO_ASSOCIATION = new Backoff(FIRST_MEMORY, 2, Duration.ofMillis(500));

    /**
     * The pause before the next attempt.
     *
     * @param troubled for how long all attempts for the identity have failed
     * @param random from 0 to 1: shortens the pause by up to a half, so that many flights spread out
     */
    Duration pause(Duration troubled, double random) {
        return Backoff.jittered(part(troubled, LONGEST_PAUSE), random);
    }

    /** The part of the time that some trouble has lasted which is to pass until the next attempt. */
    static Duration part(Duration troubled, Duration longest) {
        Duration part = troubled.dividedBy(PART);
        if (part.compareTo(SHORTEST_PAUSE) < 0) {
            return SHORTEST_PAUSE;
        }
        return part.compareTo(longest) < 0 ? part : longest;
    }

    /**
     * Whether a further attempt is made for those who may come back, though nobody waits.
     *
     * @param deserted for how long nobody has waited
     */
    boolean goesOnForNobody(Duration deserted) {
        return deserted.compareTo(UNTIL_THE_RETRY) < 0;
    }

    /**
     * Whether a flight may use another pod's token.
     *
     * @param refused how many of its tokens EKS Auth has refused
     */
    boolean mayUseAnotherToken(int refused) {
        return refused < MOST_TOKENS;
    }

    /**
     * How long a refusal is answered without a call.
     *
     * @param step how often in a row the identity has been refused, at least 1
     * @param random from 0 to 1: shortens it by up to a half
     */
    Duration memoryOf(PermanentFailure refusal, int step, double random) {
        boolean noAssociation = refusal.reason() == PermanentFailure.Reason.NO_ASSOCIATION;
        return (noAssociation ? MEMORY_OF_NO_ASSOCIATION : MEMORY).pause(step, random);
    }
}
