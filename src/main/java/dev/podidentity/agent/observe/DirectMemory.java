package dev.podidentity.agent.observe;

import io.netty.buffer.PooledByteBufAllocator;
import io.netty.util.internal.PlatformDependent;

/** The memory outside the heap that connections use for what they receive and send, as counted by Netty. */
final class DirectMemory {

    private DirectMemory() {}

    /** Returns the bytes in use. */
    static double used() {
        long counted = PlatformDependent.usedDirectMemory();
        // If Netty leaves the counting to the platform, its pool still knows what it has allocated.
        return counted >= 0 ? counted : PooledByteBufAllocator.DEFAULT.metric().usedDirectMemory();
    }

    /** Returns the maximum in bytes; {@link DirectMemoryMax} replaces this in the native executable. */
    static double max() {
        return PlatformDependent.maxDirectMemory();
    }
}
