package dev.podidentity.agent.loop;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * A map of bounded size: when it would hold too many entries, the least recently used one is evicted. Reading an entry
 * uses it. Not thread-safe.
 */
public final class BoundedMap<K, V> extends LinkedHashMap<K, V> {

    private static final long serialVersionUID = 1L;

    private final int capacity;

    /** @param capacity how many entries it holds at most, at least 1 */
    public BoundedMap(int capacity) {
        super(16, 0.75f, true);
        if (capacity < 1) {
            throw new IllegalArgumentException("capacity must be at least 1: " + capacity);
        }
        this.capacity = capacity;
    }

    @Override
    protected boolean removeEldestEntry(Map.Entry<K, V> eldest) {
        return size() > capacity;
    }
}
