package dev.podidentity.agent.memory;

import java.util.Optional;

/**
 * The heap that a full cache may need.
 *
 * @param mebibytes the size, rounded up
 */
public record HeapNeed(long mebibytes) {

    private static final long MIB = 1024 * 1024;
    /** An entry's token, credentials and objects; tokens and session tokens take 1 to 2 KiB each, and rarely 4. */
    private static final long ENTRY_BYTES = 8 * 1024;
    /** A copying collector needs twice the heap that is in use. */
    private static final long COPIES = 2;

    public static HeapNeed of(int cacheSize) {
        return new HeapNeed((COPIES * ENTRY_BYTES * cacheSize + MIB - 1) / MIB);
    }

    /** Returns the flag that makes the heap large enough, if the given maximum heap is too small. */
    public Optional<String> beyond(long heapBytes) {
        return mebibytes * MIB > heapBytes ? Optional.of("-Xmx" + mebibytes + "m") : Optional.empty();
    }
}
