package dev.podidentity.agent.loop;

import java.time.Duration;

/** Keys that were added within a time window, bounded in number. Not thread-safe. */
public final class RecentKeys<K> {

    private final long window;
    /** When each was added, in nanoseconds of a monotonic clock. */
    private final BoundedMap<K, Long> added;

    /**
     * @param window how long a key counts as recent
     * @param most how many keys are remembered; beyond that, the least recently used one is forgotten
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
