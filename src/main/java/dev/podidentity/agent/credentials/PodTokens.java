package dev.podidentity.agent.credentials;

import java.time.Instant;
import java.util.Collection;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;

/**
 * The freshest token of each pod that shares one identity. The identity of an exact token has only that token. Confined to
 * the event loop.
 */
final class PodTokens {

    /** Approximate size of a token in addition to its text: its claims, verified or not, and the map's node. */
    private static final int OVERHEAD = 192;

    /** By the pods' UIDs, the pod that asked least recently first. Most identities have one. */
    private final Map<String, Caller> pods = new LinkedHashMap<>(1, 0.75f, true);
    private final Listing listing;
    private long bytes;

    /** Counts the size of tokens that only this holds. */
    PodTokens() {
        this(Listing.NONE);
    }

    /** @param listing receives the tokens that this holds */
    PodTokens(Listing listing) {
        this.listing = listing;
    }

    /** Lists tokens while they are held. */
    interface Listing {

        Listing NONE = new Listing() {
            @Override
            public void held(Caller caller) {}

            @Override
            public void dropped(Caller caller) {}
        };

        /** The caller's token is held; may be called repeatedly. */
        void held(Caller caller);

        /** The caller's token is no longer held. */
        void dropped(Caller caller);
    }

    /** Stores a token, unless a fresher one of its pod is known. In either case the pod counts as having asked. */
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
            // Another entry may have listed it, and dropped it.
            listing.held(known);
        }
    }

    /** Returns whether this caller is held; its pod then counts as having asked, and there is nothing to {@link #learn}. */
    boolean askedAgain(Caller caller) {
        return pods.get(caller.podUid()) == caller;
    }

    /** Returns the caller that has presented the same token, if that is the freshest of its pod. */
    Optional<Caller> sameToken(Caller caller) {
        return Optional.ofNullable(pods.get(caller.podUid())).filter(known -> known.sameToken(caller));
    }

    /** Returns whether the pod shares this identity. */
    boolean has(String podUid) {
        return pods.containsKey(podUid);
    }

    /** Removes a pod. */
    void remove(String podUid) {
        Caller removed = pods.remove(podUid);
        if (removed != null) {
            bytes -= bytes(removed);
            listing.dropped(removed);
        }
    }

    /** Removes a token, but not another one that its pod may have presented since. */
    void remove(Caller caller) {
        Caller known = pods.get(caller.podUid());
        if (known != null && known.sameToken(caller)) {
            remove(caller.podUid());
        }
    }

    /** Removes the pods whose token has expired, except the last one. */
    void removeExpired(Instant now) {
        if (pods.values().stream().anyMatch(caller -> caller.token().expiresAt().isAfter(now))) {
            removeIf(caller -> !caller.token().expiresAt().isAfter(now));
        }
    }

    /** Removes the given pods. */
    void removeIf(Predicate<Caller> condition) {
        pods.values().stream().filter(condition).toList().forEach(this::remove);
    }

    /** Removes the pod that asked least recently. */
    void removeLeastRecent() {
        remove(pods.keySet().iterator().next());
    }

    /** Returns the suitable token that expires last. */
    Optional<Caller> freshest(Predicate<Caller> usable) {
        return pods.values().stream()
                .filter(usable)
                .max(Comparator.comparing(caller -> caller.token().expiresAt()));
    }

    /** Returns all of them; must not be changed while iterating. */
    Collection<Caller> all() {
        return pods.values();
    }

    int size() {
        return pods.size();
    }

    /** Returns their approximate size in memory. */
    long bytes() {
        return bytes;
    }

    private static long bytes(Caller caller) {
        return OVERHEAD + caller.token().length();
    }
}
