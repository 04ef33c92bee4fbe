package dev.podidentity.agent.kubernetes;

import java.time.Duration;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;

/** What was added within some time, as far as it fits: the oldest is forgotten first. Confined to the event loop. */
final class RecentKeys<K> {

    private final long window;
    private final int most;
    /** When each was added, the oldest first. */
    private final Map<K, Long> added = new LinkedHashMap<>();

    RecentKeys(Duration window, int most) {
        this.window = window.toNanos();
        this.most = most;
    }

    /** @param now nanoseconds of a monotonic clock */
    boolean contains(K key, long now) {
        Long at = added.get(key);
        return at != null && now - at < window;
    }

    /** @param now nanoseconds of a monotonic clock */
    void add(K key, long now) {
        added.remove(key);
        added.put(key, now);
        if (added.size() > most) {
            Iterator<Long> oldest = added.values().iterator();
            oldest.next();
            oldest.remove();
        }
    }

    void remove(K key) {
        added.remove(key);
    }
}
