package dev.podidentity.agent.memory;

import com.oracle.svm.core.annotate.Alias;
import com.oracle.svm.core.annotate.Substitute;
import com.oracle.svm.core.annotate.TargetClass;

/**
 * Rejects allocations beyond {@code -R:MaxDirectMemorySize} immediately. The JDK would first collect garbage and sleep for
 * half a second, on the event loop, each time a connection needs a buffer. Netty closes a connection that gets none.
 */
@TargetClass(className = "java.nio.Bits")
final class DirectMemoryLimit {

    private DirectMemoryLimit() {}

    @Alias
    private static native boolean tryReserveMemory(long size, long capacity);

    @Substitute
    static void reserveMemory(long size, long capacity) {
        if (!tryReserveMemory(size, capacity)) {
            throw new OutOfMemoryError("No direct memory for " + size + " bytes");
        }
    }
}
