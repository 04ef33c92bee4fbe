package dev.podidentity.agent.loop;

import java.time.Duration;

/** Runs things later, on the event loop. */
public interface Timers {

    /** Runs a task once, after a delay. */
    Timer schedule(Duration delay, Runnable task);

    /** A task that is to run. */
    interface Timer {

        /** Sees to it that the task does not run; does nothing if it has. */
        void cancel();
    }
}
