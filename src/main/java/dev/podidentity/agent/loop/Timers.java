package dev.podidentity.agent.loop;

import java.time.Duration;

/** Schedules tasks on the event loop. */
public interface Timers {

    /** Runs a task once, after a delay. */
    Timer schedule(Duration delay, Runnable task);

    /** A scheduled task. */
    interface Timer {

        /** Cancels the task; does nothing if it has already run. */
        void cancel();
    }
}
