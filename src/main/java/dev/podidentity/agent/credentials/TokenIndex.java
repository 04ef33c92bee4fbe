package dev.podidentity.agent.credentials;

import dev.podidentity.agent.token.TokenHash;

/**
 * Finds the tokens of cached entries by their exact characters, so that a token that returns need not be parsed again.
 * Contains a token exactly as long as the cache does, as reported by the {@link PodTokens} of its entries. If two entries
 * hold the same token, because it could be verified only at times, it lists the latest.
 *
 * <p>A hash table with chains whose lookups compare bytes in place; a map of the JDK would need an object for each lookup.
 * Confined to the event loop.
 */
final class TokenIndex implements PodTokens.Listing {

    private static final int LEAST_SLOTS = 64;

    private final TokenHash hash;
    /** A power of two of slots, so that the low bits of a hash select one. */
    private Node[] slots = new Node[LEAST_SLOTS];
    private int size;

    /** @param seed random, so that nobody can choose tokens that share a slot */
    TokenIndex(long seed) {
        this.hash = new TokenHash(seed);
    }

    private static final class Node {

        private final int hash;
        private Caller caller;
        private Node next;

        Node(int hash, Caller caller) {
            this.hash = hash;
            this.caller = caller;
        }
    }

    /** Returns the caller that has presented the token, or null. */
    Caller find(byte[] characters, int from, int to) {
        int wanted = hash.of(characters, from, to);
        Node node = slots[wanted & slots.length - 1];
        while (node != null && !(node.hash == wanted && node.caller.token().matches(characters, from, to))) {
            node = node.next;
        }
        return node == null ? null : node.caller;
    }

    @Override
    public void held(Caller caller) {
        int wanted = caller.token().hash(hash);
        Node node = slots[wanted & slots.length - 1];
        while (node != null && !(node.hash == wanted && node.caller.sameToken(caller))) {
            node = node.next;
        }
        if (node != null) {
            node.caller = caller;
            return;
        }
        if (size == slots.length) {
            grow();
        }
        add(new Node(wanted, caller));
        size++;
    }

    @Override
    public void dropped(Caller caller) {
        int slot = caller.token().hash(hash) & slots.length - 1;
        Node before = null;
        for (Node node = slots[slot]; node != null; before = node, node = node.next) {
            // Compared by identity, so that the other entry's listing of the same token remains.
            if (node.caller == caller) {
                if (before == null) {
                    slots[slot] = node.next;
                } else {
                    before.next = node.next;
                }
                size--;
                return;
            }
        }
    }

    /** Returns the number of listed tokens. */
    int size() {
        return size;
    }

    private void add(Node node) {
        int slot = node.hash & slots.length - 1;
        node.next = slots[slot];
        slots[slot] = node;
    }

    private void grow() {
        Node[] old = slots;
        slots = new Node[old.length * 2];
        for (Node chain : old) {
            Node node = chain;
            while (node != null) {
                Node next = node.next;
                add(node);
                node = next;
            }
        }
    }
}
