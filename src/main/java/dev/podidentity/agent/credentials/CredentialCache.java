package dev.podidentity.agent.credentials;

import dev.podidentity.agent.observe.EvictionCause;
import dev.podidentity.agent.observe.Metrics;
import dev.podidentity.agent.token.ServiceAccountToken;
import java.time.Instant;
import java.util.Collection;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;

/**
 * The credentials that are kept, one entry an identity, bounded in number. When it is full the entry goes that was
 * asked for least recently: a node's pods ask often, so that is one whose pod is gone. Renewal is no use. Data only:
 * decides nothing about time but what it is told, and makes no calls.
 *
 * <p>Not thread-safe: all of {@link CredentialService} runs on one event loop, and so does this.
 */
final class CredentialCache {

    private final int capacity;
    private final Metrics metrics;
    /** In the order of use, the least recent first: a use takes an entry out and puts it in again. */
    private final Map<Identity, CacheEntry> entries = new LinkedHashMap<>();
    private long bytes;

    /** @param capacity how many entries; 0 keeps none */
    CredentialCache(int capacity, Metrics metrics) {
        this.capacity = capacity;
        this.metrics = metrics;
    }

    /** The entry, which counts as used, or null. */
    CacheEntry use(Identity identity) {
        CacheEntry entry = entries.remove(identity);
        if (entry != null) {
            entries.put(identity, entry);
            entry.use();
        }
        return entry;
    }

    /** The entry; looking is no use. */
    Optional<CacheEntry> find(Identity identity) {
        return Optional.ofNullable(entries.get(identity));
    }

    /**
     * Takes in credentials that came. An entry that is there keeps its place in the order of use.
     *
     * @param wanted whether a request asked for them; else they only renew an entry that is still there
     */
    void store(
            Identity identity,
            ServiceAccountToken token,
            Credentials credentials,
            boolean wanted,
            RenewalPolicy policy,
            double random) {
        if (capacity == 0) {
            return;
        }
        CacheEntry entry = entries.get(identity);
        if (entry != null) {
            bytes -= entry.bytes();
        } else if (!wanted) {
            return;
        } else {
            if (entries.size() >= capacity) {
                evict(entries.values().iterator().next(), EvictionCause.SIZE);
            }
            entry = new CacheEntry(identity);
            entries.put(identity, entry);
        }
        entry.renewed(token, credentials, wanted, policy, random);
        bytes += entry.bytes();
        report();
    }

    void remove(Identity identity, EvictionCause cause) {
        CacheEntry entry = entries.get(identity);
        if (entry != null) {
            evict(entry, cause);
            report();
        }
    }

    /** Drops what can never be served again. */
    void removeExpired(Instant now) {
        removeIf(entry -> !entry.credentials().validAt(now), EvictionCause.EXPIRED);
        // Whoever shows an expired token is turned away, so nobody can ask for the entry any more.
        removeIf(entry -> !entry.token().expiresAt().isAfter(now), EvictionCause.TOKEN_EXPIRED);
        report();
    }

    /** All entries, in no order that matters; looking at them is no use of them. */
    Collection<CacheEntry> entries() {
        return entries.values();
    }

    private void removeIf(Predicate<CacheEntry> condition, EvictionCause cause) {
        for (Iterator<CacheEntry> all = entries.values().iterator(); all.hasNext(); ) {
            CacheEntry entry = all.next();
            if (condition.test(entry)) {
                all.remove();
                bytes -= entry.bytes();
                metrics.evicted(cause);
            }
        }
    }

    private void evict(CacheEntry entry, EvictionCause cause) {
        entries.remove(entry.identity());
        bytes -= entry.bytes();
        metrics.evicted(cause);
    }

    private void report() {
        metrics.cached(entries.size(), bytes);
    }
}
