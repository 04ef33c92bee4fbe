package dev.podidentity.emulator;

import java.util.concurrent.CompletableFuture;

/** Holds calls back until a test lets them go, so that it decides what happens in which order. Any thread. */
public final class Gate {

    private final CompletableFuture<Void> released = new CompletableFuture<>();

    Gate() {}

    /** Lets all calls go on, those held back and those to come. A second time does nothing. */
    public void release() {
        released.complete(null);
    }

    boolean isReleased() {
        return released.isDone();
    }

    /** Runs the continuation on the thread that releases, or at once if that has happened. */
    void whenReleased(Runnable continuation) {
        released.thenRun(continuation);
    }
}
