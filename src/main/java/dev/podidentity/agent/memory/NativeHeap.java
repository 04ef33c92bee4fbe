package dev.podidentity.agent.memory;

import io.quarkus.runtime.ImageMode;
import org.graalvm.nativeimage.RuntimeOptions;

/** The heap of the native executable, which is the serial collector's. */
public final class NativeHeap {

    /** The most that the collector keeps free; 0 stands for as much as it next allocates. */
    private static final String MOST_FREE = "MaxHeapFree";
    private static final long NOTHING = 1;
    private static final long AS_MUCH_AS_IT_ALLOCATES = 0;

    private NativeHeap() {}

    /** Bytes that are in use or garbage. */
    public static long used() {
        Runtime runtime = Runtime.getRuntime();
        return runtime.totalMemory() - runtime.freeMemory();
    }

    /** Collects all garbage and keeps no heap that is not in use. On a JVM, does nothing: its collectors do as they are told. */
    public static void collect() {
        if (ImageMode.current() != ImageMode.NATIVE_RUN) {
            return;
        }
        RuntimeOptions.set(MOST_FREE, NOTHING);
        System.gc();
        // Under load, pages that are returned after each collection would come back page by page.
        RuntimeOptions.set(MOST_FREE, AS_MUCH_AS_IT_ALLOCATES);
    }
}
