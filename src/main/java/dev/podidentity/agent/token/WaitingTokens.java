package dev.podidentity.agent.token;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/**
 * What waits to be verified: bounded in characters and in number, for all and for each source address, so that no pod
 * takes the heap or the place of another; and come to in turns, a source after the other. Confined to the event loop.
 *
 * @param <T> what waits with a token
 */
final class WaitingTokens<T> {

    /** An eighth of the native executable's heap; a token of EKS has 1,000 to 2,000 characters. */
    private static final int MOST_CHARACTERS = 4 * 1024 * 1024;
    /** A pod has a token or two; but all pods on the node's own network have one address, and EKS allows a node 250. */
    private static final int MOST_OF_A_SOURCE = 256;
    private static final int MOST_CHARACTERS_OF_A_SOURCE = MOST_CHARACTERS / 4;

    private final Map<String, Share> shares = new HashMap<>();
    private final Map<String, Deque<T>> queues = new LinkedHashMap<>();
    private int characters;

    private record Share(int tokens, int characters) {}

    /** Lets a token in, to be let out once by {@link #leave}, if there is room for it. */
    boolean enter(String source, ServiceAccountToken token) {
        int length = token.raw().length();
        Share share = shares.getOrDefault(source, new Share(0, 0));
        if (characters + length > MOST_CHARACTERS
                || share.tokens() >= MOST_OF_A_SOURCE
                || share.characters() + length > MOST_CHARACTERS_OF_A_SOURCE) {
            return false;
        }
        characters += length;
        shares.put(source, new Share(share.tokens() + 1, share.characters() + length));
        return true;
    }

    /** Lets a token out that was let in. */
    void leave(String source, ServiceAccountToken token) {
        int length = token.raw().length();
        characters -= length;
        shares.computeIfPresent(source, (key, share) -> share.tokens() == 1
                ? null
                : new Share(share.tokens() - 1, share.characters() - length));
    }

    /** Puts something in its source's queue. */
    void queue(String source, T waiting) {
        queues.computeIfAbsent(source, key -> new ArrayDeque<>()).add(waiting);
    }

    /** Takes out what is next: the first of the source that was come to least recently. */
    Optional<T> next() {
        if (queues.isEmpty()) {
            return Optional.empty();
        }
        String source = queues.keySet().iterator().next();
        Deque<T> queue = queues.remove(source);
        T next = queue.remove();
        if (!queue.isEmpty()) {
            queues.put(source, queue);
        }
        return Optional.of(next);
    }
}
