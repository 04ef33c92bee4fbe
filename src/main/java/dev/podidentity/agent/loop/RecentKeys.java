package dev.podidentity.agent.loop;

import java.time.Duration;

/** Remembers a bounded number of keys that were added within a time window. Not thread-safe. */
public final class RecentKeys<K> {

    private final long window;
    /** When each key was added, in nanoseconds of a monotonic clock. */
    private final BoundedMap<K, Long> added;

    /**
     * @param window how long a key counts as recent
     * @param most the maximum number of keys; beyond it, the least recently used key is evicted
     */
    public RecentKeys(Duration window, int most) {
        this.window = window.toNanos();
        this.added = new BoundedMap<>(most);
    }

    /** @param now nanoseconds of a monotonic clock */
    public boolean contains(K key, long now) {
        Long at = added.get(key);
        return at != null && now - at < window;
    }

    /** @param now nanoseconds of a monotonic clock */
    public void add(K key, long now) {
        added.put(key, now);
    }

    public void remove(K key) {
        added.remove(key);
    }
}
