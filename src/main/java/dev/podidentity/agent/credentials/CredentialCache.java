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
 * The cached credentials, one entry for each identity, bounded in number. A full cache evicts the least recently used entry;
 * since pods ask often, its pod has probably been deleted. A renewal is not a use. Holds data only: it makes no calls, and
 * decides nothing about time.
 *
 * <p>A shared entry keeps a token of each of its pods, for renewals and to notice when its last pod is deleted. The total
 * number of tokens is limited to the number of entries. Beyond this, the entry with the most tokens forgets the pod that
 * asked least recently. That pod still finds the credentials by its identity.
 *
 * <p>Not thread-safe: like all of {@link CredentialService}, it is confined to the event loop.
 */
final class CredentialCache {

    /** More than a node's pods, of which EKS allows 250, so that a small cache does not forget a running pod. */
    private static final int LEAST_TOKENS = 256;

    private final int capacity;
    private final int mostTokens;
    private final Metrics metrics;
    private final Map<Identity, CacheEntry> entries = new LinkedHashMap<>();
    private final TokenIndex index;
    /**
     * Numbers the uses. Moving an entry in a list on each use would write to old objects, which the collector would have to
     * scan.
     */
    private long uses;
    /** Numbers the entries in the order of creation, which is the map's order. */
    private long came;
    private long bytes;
    private int tokens;

    /**
     * @param capacity maximum number of entries; 0 keeps none
     * @param index lists the tokens of all entries
     */
    CredentialCache(int capacity, TokenIndex index, Metrics metrics) {
        this.capacity = capacity;
        this.index = index;
        this.mostTokens = Math.max(capacity, LEAST_TOKENS);
        this.metrics = metrics;
    }

    /** Returns the entry of the caller's identity, or null. Marks it as used, and learns the caller's token. */
    CacheEntry use(Caller caller) {
        CacheEntry entry = entries.get(caller.identity());
        if (entry == null) {
            return null;
        }
        uses++;
        entry.use(uses);
        // The entry of an exact token has no other token.
        if (caller.identity() instanceof Identity.VerifiedWorkload && !entry.pods().askedAgain(caller)) {
            change(entry, () -> entry.pods().learn(caller));
        }
        return entry;
    }

    /**
     * Returns the caller that has presented the token with these characters, if an entry holds it, or null. Marks no entry
     * as used.
     */
    Caller find(byte[] characters, int from, int to) {
        return index.find(characters, from, to);
    }

    /** Returns the entry without marking it as used. */
    Optional<CacheEntry> find(Identity identity) {
        return Optional.ofNullable(entries.get(identity));
    }

    /**
     * Stores new credentials. An existing entry keeps its place in the order of use.
     *
     * @param pods running pods that have asked for the credentials or own the token with which they were fetched; if there
     *     are none, the credentials only renew an existing entry
     * @param wanted whether a request asked for them; otherwise they only renew an existing entry
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
     * Removes a token that EKS Auth has refused from the entries that hold it: there are two if it could be verified only at
     * times. An entry is removed with its last token. Scans all entries, like {@link #podGone}.
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
     * Removes a deleted pod's tokens from all entries; an entry is removed when none of its pods remains. Scans all entries,
     * which takes tens of microseconds for 2,000, whenever a pod is deleted.
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
     * Removes entries that can never be served again, or only to deleted pods, including pods whose deletion was not
     * reported.
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

    /** Returns all entries in no particular order, without marking them as used. */
    Collection<CacheEntry> entries() {
        return entries.values();
    }

    /**
     * Returns the next entries in the order of creation.
     *
     * @param number the entry that precedes them; 0 for the first
     * @param most the maximum number
     */
    List<CacheEntry> after(long number, int most) {
        return entries.values().stream().filter(entry -> entry.number() > number).limit(most).toList();
    }

    /** Returns the number of tokens of all entries. */
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

    /** Scans all entries, tens of microseconds for 2,000, whenever a full cache stores a new one. */
    private CacheEntry leastRecentlyUsed() {
        return entries.values().stream()
                .min(Comparator.comparingLong(CacheEntry::lastUse))
                .orElseThrow();
    }

    /** Changes the pods of a counted entry. */
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
