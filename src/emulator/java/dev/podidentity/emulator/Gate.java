package dev.podidentity.emulator;

import java.util.concurrent.CompletableFuture;

/** Holds calls back until a test releases them, so that the test controls the order of events. Any thread. */
public final class Gate {

    private final CompletableFuture<Void> released = new CompletableFuture<>();

    Gate() {}

    /** Releases the calls held back and all later ones. Has no effect the second time. */
    public void release() {
        released.complete(null);
    }

    boolean isReleased() {
        return released.isDone();
    }

    /** Runs the continuation on the releasing thread, or at once if the gate is already released. */
    void whenReleased(Runnable continuation) {
        released.thenRun(continuation);
    }
}
