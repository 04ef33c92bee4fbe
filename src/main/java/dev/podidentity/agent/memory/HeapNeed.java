package dev.podidentity.agent.memory;

import java.util.Optional;

/**
 * How much heap a full cache may need.
 *
 * @param mebibytes rounded up
 */
public record HeapNeed(long mebibytes) {

    private static final long MIB = 1024 * 1024;
    /** Token, answer and what holds them; tokens and session tokens take 1 to 2 KiB each, and rarely 4. */
    private static final long ENTRY_BYTES = 8 * 1024;
    /** A copying collector needs as much again as is in use. */
    private static final long COPIES = 2;

    public static HeapNeed of(int cacheSize) {
        return new HeapNeed((COPIES * ENTRY_BYTES * cacheSize + MIB - 1) / MIB);
    }

    /** The flag that gives enough, if a heap of so many bytes at the most is not. */
    public Optional<String> beyond(long heapBytes) {
        return mebibytes * MIB > heapBytes ? Optional.of("-Xmx" + mebibytes + "m") : Optional.empty();
    }
}
