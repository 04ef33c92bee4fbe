package dev.podidentity.agent.observe;

import io.netty.buffer.PooledByteBufAllocator;
import io.netty.util.internal.PlatformDependent;

/** The memory outside of the heap in which connections keep what they receive and send, as Netty counts it. */
final class DirectMemory {

    private DirectMemory() {}

    /** Bytes that are taken. */
    static double used() {
        long counted = PlatformDependent.usedDirectMemory();
        // Where Netty leaves the counting to the platform, its pool still knows what it has taken.
        return counted >= 0 ? counted : PooledByteBufAllocator.DEFAULT.metric().usedDirectMemory();
    }

    /** Bytes that may be taken; the native executable has {@link DirectMemoryMax} instead. */
    static double max() {
        return PlatformDependent.maxDirectMemory();
    }
}
