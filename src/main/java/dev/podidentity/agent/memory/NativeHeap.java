package dev.podidentity.agent.memory;

import io.quarkus.runtime.ImageMode;
import org.graalvm.nativeimage.RuntimeOptions;

/** The heap of the native executable, which uses the serial collector. */
public final class NativeHeap {

    /** The maximum that the collector keeps free; 0 stands for as much as it next allocates. */
    private static final String MOST_FREE = "MaxHeapFree";
    private static final long NOTHING = 1;
    private static final long AS_MUCH_AS_IT_ALLOCATES = 0;

    private NativeHeap() {}

    /** Returns the bytes that are in use or garbage. */
    public static long used() {
        Runtime runtime = Runtime.getRuntime();
        return runtime.totalMemory() - runtime.freeMemory();
    }

    /** Collects all garbage and keeps no unused heap. Does nothing on a JVM, whose collectors have their own settings. */
    public static void collect() {
        if (ImageMode.current() != ImageMode.NATIVE_RUN) {
            return;
        }
        RuntimeOptions.set(MOST_FREE, NOTHING);
        System.gc();
        // Otherwise, under load, the pages returned after each collection would have to come back one by one.
        RuntimeOptions.set(MOST_FREE, AS_MUCH_AS_IT_ALLOCATES);
    }
}
