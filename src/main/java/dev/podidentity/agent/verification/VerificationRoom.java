package dev.podidentity.agent.verification;

import dev.podidentity.agent.loop.Shares;
import dev.podidentity.agent.token.ServiceAccountToken;

/**
 * Limits the tokens that wait for verification. Any client can send any text as a token, and no source address may use up
 * the heap or the share of another. Confined to the event loop.
 */
final class VerificationRoom {

    /** A share of the heap: {@code docs/decisions/0010-what-unfinished-work-may-cost.md}. */
    static final int MOST = 2 * 1024 * 1024;
    /**
     * 256 tokens of usual size. A pod has one or two, but EKS allows 250 pods on a node, which may all share its address.
     */
    static final int MOST_OF_A_SOURCE = 512 * 1024;
    /** What a source may use regardless of the others. */
    static final int RESERVE = 5 * 1024;
    /** The minimum charge of a token, in characters: its flight and its waiting requests take memory too. */
    private static final int LEAST = 2 * 1024;

    private final Shares shares = new Shares(MOST, MOST_OF_A_SOURCE, RESERVE);

    /** Admits a token if there is room; {@link #leave} must be called once afterwards. */
    boolean enter(String source, ServiceAccountToken token) {
        return shares.take(source, size(token));
    }

    /** Removes an admitted token. */
    void leave(String source, ServiceAccountToken token) {
        shares.give(source, size(token));
    }

    private static int size(ServiceAccountToken token) {
        return Math.max(LEAST, token.length());
    }
}
