package dev.podidentity.agent.credentials;

import dev.podidentity.agent.observe.EvictionCause;
import dev.podidentity.agent.observe.Metrics;
import dev.podidentity.agent.verification.LivingPods;
import java.time.Instant;
import java.util.Collection;
import java.util.Comparator;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;

/**
 * The credentials that are kept, one entry an identity, bounded in number. When it is full the entry goes that was
 * asked for least recently: a node's pods ask often, so that is one whose pod is gone. Renewal is no use. Data only:
 * decides nothing about time but what it is told, and makes no calls.
 *
 * <p>An entry that pods share keeps a token of each of them, to be renewed with and to know when the last one dies.
 * There are as many tokens in all as there may be entries. Beyond that the entry that has most of them forgets the pod
 * that asked least recently: only that it is one of those, as it finds the credentials again by its identity.
 *
 * <p>Not thread-safe: all of {@link CredentialService} runs on one event loop, and so does this.
 */
final class CredentialCache {

    /** More than a node's pods, of which EKS allows 250, so that a small cache does not forget one that lives. */
    private static final int LEAST_TOKENS = 256;

    private final int capacity;
    private final int mostTokens;
    private final Metrics metrics;
    private final Map<Identity, CacheEntry> entries = new LinkedHashMap<>();
    private final TokenIndex index;
    /** Numbers the uses: to move an entry in a list at each would write to old objects, for the collector to look at. */
    private long uses;
    /** Numbers the entries in the order in which they came, which is the map's. */
    private long came;
    private long bytes;
    private int tokens;

    /**
     * @param capacity how many entries; 0 keeps none
     * @param index lists the tokens that are kept
     */
    CredentialCache(int capacity, TokenIndex index, Metrics metrics) {
        this.capacity = capacity;
        this.index = index;
        this.mostTokens = Math.max(capacity, LEAST_TOKENS);
        this.metrics = metrics;
    }

    /** The entry of the caller's identity, which counts as used and learns its token, or null. */
    CacheEntry use(Caller caller) {
        CacheEntry entry = entries.get(caller.identity());
        if (entry == null) {
            return null;
        }
        uses++;
        entry.use(uses);
        // An exact token is the only one of its entry.
        if (caller.identity() instanceof Identity.VerifiedWorkload && !entry.pods().askedAgain(caller)) {
            change(entry, () -> entry.pods().learn(caller));
        }
        return entry;
    }

    /** Returns who has shown the token of these characters, if an entry holds it, or null; marks no entry as used. */
    Caller find(byte[] characters, int from, int to) {
        return index.find(characters, from, to);
    }

    /** Returns the entry without marking it as used. */
    Optional<CacheEntry> find(Identity identity) {
        return Optional.ofNullable(entries.get(identity));
    }

    /**
     * Takes in credentials that came. An entry that is there keeps its place in the order of use.
     *
     * @param pods that live, and have asked for them or hold the token that they were fetched with; without any, the
     *     credentials only renew an entry that is still there
     * @param wanted whether a request asked for them; else they only renew an entry that is still there
     */
    void store(
            Identity identity,
            List<Caller> pods,
            Credentials credentials,
            boolean wanted,
            RenewalPolicy policy,
            double random) {
        if (capacity == 0) {
            return;
        }
        CacheEntry entry = entries.get(identity);
        if (entry != null) {
            discount(entry);
        } else if (!wanted || pods.isEmpty()) {
            return;
        } else {
            if (entries.size() >= capacity) {
                evict(leastRecentlyUsed(), EvictionCause.SIZE);
            }
            came++;
            entry = new CacheEntry(identity, came, index);
            entries.put(identity, entry);
            uses++;
            entry.use(uses);
        }
        pods.forEach(entry.pods()::learn);
        entry.renewed(credentials, wanted, policy, random);
        count(entry);
        report();
    }

    void remove(Identity identity, EvictionCause cause) {
        CacheEntry entry = entries.get(identity);
        if (entry != null) {
            evict(entry, cause);
            report();
        }
    }

    /**
     * Takes a token that EKS Auth has refused out of the entries that hold it: there are two if it could not be verified
     * at times. An entry goes with its last token. Looks at every entry, as {@link #podGone} does.
     */
    void refused(Caller caller) {
        List<CacheEntry> holding =
                entries.values().stream().filter(entry -> entry.pods().sameToken(caller).isPresent()).toList();
        for (CacheEntry entry : holding) {
            change(entry, () -> entry.pods().remove(caller));
            if (entry.pods().size() == 0) {
                evict(entry, EvictionCause.REFUSED);
            }
        }
        report();
    }

    /**
     * Takes a dead pod's tokens out of all entries; an entry goes at once when none of its pods lives. Looks at every
     * entry, which takes some tens of microseconds for 2,000 of them, as often as pods die.
     */
    void podGone(String podUid, LivingPods living) {
        List<CacheEntry> shared =
                entries.values().stream().filter(entry -> entry.pods().has(podUid)).toList();
        for (CacheEntry entry : shared) {
            change(entry, () -> entry.pods().remove(podUid));
            if (entry.dead(living)) {
                evict(entry, EvictionCause.POD_GONE);
            }
        }
        report();
    }

    /**
     * Drops what can never be served again, or to none that lives: a death that nobody has told of shows here.
     *
     * @param nanos of the monotonic clock
     */
    void removeExpired(Instant now, long nanos, LivingPods living) {
        removeIf(entry -> !entry.credentials().validAt(now, nanos), EvictionCause.EXPIRED);
        removeIf(entry -> !entry.reachable(now), EvictionCause.TOKEN_EXPIRED);
        removeIf(entry -> entry.dead(living), EvictionCause.POD_GONE);
        entries.values().stream()
                .filter(entry -> entry.pods().size() > 1)
                .forEach(entry -> change(entry, () -> entry.pods().removeExpired(now)));
        report();
    }

    /** All entries, in no order that matters; looking at them does not mark them as used. */
    Collection<CacheEntry> entries() {
        return entries.values();
    }

    /**
     * The next entries in the order in which they came.
     *
     * @param number of the entry that they come after; 0 for the first
     * @param most how many at most
     */
    List<CacheEntry> after(long number, int most) {
        return entries.values().stream().filter(entry -> entry.number() > number).limit(most).toList();
    }

    /** How many tokens all entries hold. */
    int tokens() {
        return tokens;
    }

    private void removeIf(Predicate<CacheEntry> condition, EvictionCause cause) {
        for (Iterator<CacheEntry> all = entries.values().iterator(); all.hasNext(); ) {
            CacheEntry entry = all.next();
            if (condition.test(entry)) {
                all.remove();
                left(entry, cause);
            }
        }
    }

    private void evict(CacheEntry entry, EvictionCause cause) {
        entries.remove(entry.identity());
        left(entry, cause);
    }

    private void left(CacheEntry entry, EvictionCause cause) {
        discount(entry);
        entry.pods().all().forEach(index::dropped);
        metrics.evicted(cause);
    }

    /** Looks at every entry, some tens of microseconds for 2,000, as often as a full cache takes in a new one. */
    private CacheEntry leastRecentlyUsed() {
        return entries.values().stream()
                .min(Comparator.comparingLong(CacheEntry::lastUse))
                .orElseThrow();
    }

    /** Changes the pods of an entry that is counted. */
    private void change(CacheEntry entry, Runnable change) {
        long before = bytes;
        discount(entry);
        change.run();
        count(entry);
        if (bytes != before) {
            report();
        }
    }

    private void discount(CacheEntry entry) {
        bytes -= entry.bytes();
        tokens -= entry.pods().size();
    }

    private void count(CacheEntry entry) {
        bytes += entry.bytes();
        tokens += entry.pods().size();
        while (tokens > mostTokens) {
            forgetOne();
        }
    }

    private void forgetOne() {
        CacheEntry most = entries.values().stream()
                .max(Comparator.<CacheEntry>comparingInt(entry -> entry.pods().size())
                        .thenComparing(CacheEntry::lastUse, Comparator.reverseOrder()))
                .orElseThrow();
        bytes -= most.bytes();
        most.pods().removeLeastRecent();
        bytes += most.bytes();
        tokens--;
    }

    private void report() {
        metrics.cached(entries.size(), bytes);
    }
}
