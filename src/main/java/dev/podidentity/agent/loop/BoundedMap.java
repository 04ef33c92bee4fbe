package dev.podidentity.agent.loop;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * A map of bounded size that evicts the least recently used entry when it is full. Reading an entry counts as use. Not
 * thread-safe.
 */
public final class BoundedMap<K, V> extends LinkedHashMap<K, V> {

    private static final long serialVersionUID = 1L;

    private final int capacity;

    /** @param capacity the maximum number of entries, at least 1 */
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
