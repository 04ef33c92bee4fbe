package dev.podidentity.agent.verification;

import dev.podidentity.agent.loop.Shares;
import dev.podidentity.agent.token.ServiceAccountToken;

/**
 * Bounds what waits to be verified, as anybody can send any text as a token: no source address takes the heap, or the
 * place of another. Confined to the event loop.
 */
final class VerificationRoom {

    /** A share of the heap: {@code docs/decisions/0010-what-unfinished-work-may-cost.md}. */
    static final int MOST = 2 * 1024 * 1024;
    /** 256 tokens of usual size: a pod has one or two, but EKS allows a node 250 pods, and all may have its address. */
    static final int MOST_OF_A_SOURCE = 512 * 1024;
    /** What a source has room for though others have taken all. */
    static final int RESERVE = 5 * 1024;
    /** What a token counts for at least, in characters: its flight and those who wait take memory too. */
    private static final int LEAST = 2 * 1024;

    private final Shares shares = new Shares(MOST, MOST_OF_A_SOURCE, RESERVE);

    /** Lets a token in, to be let out once by {@link #leave}, if there is room for it. */
    boolean enter(String source, ServiceAccountToken token) {
        return shares.take(source, size(token));
    }

    /** Lets a token out that was let in. */
    void leave(String source, ServiceAccountToken token) {
        shares.give(source, size(token));
    }

    private static int size(ServiceAccountToken token) {
        return Math.max(LEAST, token.length());
    }
}
