package dev.podidentity.agent.credentials;

import java.time.Instant;
import java.util.Collection;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;

/**
 * The freshest token of each pod that shares one identity. An exact token is shared by nobody: it is the only one.
 * Confined to the event loop.
 */
final class PodTokens {

    /** Roughly what a token takes beside its text: its claims, what was verified of them, the map's node. */
    private static final int OVERHEAD = 192;

    /** By the pods' UIDs, the pod that asked least recently first. Most have one. */
    private final Map<String, Caller> pods = new LinkedHashMap<>(1, 0.75f, true);
    private final Listing listing;
    private long bytes;

    /** Tokens that are found only here. */
    PodTokens() {
        this(Listing.NONE);
    }

    /** @param listing is told of the tokens that are held here */
    PodTokens(Listing listing) {
        this.listing = listing;
    }

    /** Where tokens are listed for as long as they are held. */
    interface Listing {

        Listing NONE = new Listing() {
            @Override
            public void held(Caller caller) {}

            @Override
            public void dropped(Caller caller) {}
        };

        /** The caller's token is held; may be said more than once. */
        void held(Caller caller);

        /** The caller's token is not held any more. */
        void dropped(Caller caller);
    }

    /** Takes a token in, unless a fresher one of its pod is known; the pod has asked, in any case. */
    void learn(Caller caller) {
        Caller known = pods.get(caller.podUid());
        if (known == null) {
            pods.put(caller.podUid(), caller);
            bytes += bytes(caller);
            listing.held(caller);
        } else if (caller.token().expiresAt().isAfter(known.token().expiresAt())) {
            pods.put(caller.podUid(), caller);
            bytes += bytes(caller) - bytes(known);
            listing.dropped(known);
            listing.held(caller);
        } else if (known.sameToken(caller)) {
            // Another entry may have listed it for itself, and dropped it.
            listing.held(known);
        }
    }

    /** Whether this very caller is held; then its pod has asked, and there is nothing to {@link #learn}. */
    boolean askedAgain(Caller caller) {
        return pods.get(caller.podUid()) == caller;
    }

    /** The caller that has shown the same token, if it is the freshest of its pod. */
    Optional<Caller> sameToken(Caller caller) {
        return Optional.ofNullable(pods.get(caller.podUid())).filter(known -> known.sameToken(caller));
    }

    /** Whether the pod is one of those that share. */
    boolean has(String podUid) {
        return pods.containsKey(podUid);
    }

    /** Forgets a pod. */
    void remove(String podUid) {
        Caller removed = pods.remove(podUid);
        if (removed != null) {
            bytes -= bytes(removed);
            listing.dropped(removed);
        }
    }

    /** Forgets a token; not the other one that its pod may have shown since. */
    void remove(Caller caller) {
        Caller known = pods.get(caller.podUid());
        if (known != null && known.sameToken(caller)) {
            remove(caller.podUid());
        }
    }

    /** Forgets the pods whose token has expired, unless there is no other. */
    void removeExpired(Instant now) {
        if (pods.values().stream().anyMatch(caller -> caller.token().expiresAt().isAfter(now))) {
            removeIf(caller -> !caller.token().expiresAt().isAfter(now));
        }
    }

    /** Forgets the pods of which this holds. */
    void removeIf(Predicate<Caller> condition) {
        pods.values().stream().filter(condition).toList().forEach(this::remove);
    }

    /** Forgets the pod that asked least recently. */
    void removeLeastRecent() {
        remove(pods.keySet().iterator().next());
    }

    /** The token that expires last, of those that will do. */
    Optional<Caller> freshest(Predicate<Caller> usable) {
        return pods.values().stream()
                .filter(usable)
                .max(Comparator.comparing(caller -> caller.token().expiresAt()));
    }

    /** All of them; not to be changed while they are looked at. */
    Collection<Caller> all() {
        return pods.values();
    }

    int size() {
        return pods.size();
    }

    /** About how much memory they take. */
    long bytes() {
        return bytes;
    }

    private static long bytes(Caller caller) {
        return OVERHEAD + caller.token().length();
    }
}
