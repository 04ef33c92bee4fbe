package dev.podidentity.agent.verification;

import java.util.ArrayDeque;
import java.util.concurrent.Executor;

/** A worker that works when a test says so. */
public final class ManualExecutor implements Executor {

    private final ArrayDeque<Runnable> tasks = new ArrayDeque<>();
    private boolean busy;
    private int ran;

    @Override
    public void execute(Runnable task) {
        if (busy) {
            tasks.add(task);
        } else {
            ran++;
            task.run();
        }
    }

    /** From now on tasks wait. */
    public void hold() {
        busy = true;
    }

    /** Runs what waits, and from now on everything at once. */
    public void release() {
        busy = false;
        while (!tasks.isEmpty()) {
            ran++;
            tasks.remove().run();
        }
    }

    /** Runs so many of those that wait, in their order. */
    public void run(int count) {
        for (int i = 0; i < count; i++) {
            ran++;
            tasks.remove().run();
        }
    }

    /** Runs what was given last, as another thread of the worker could before the others. */
    public void runLast() {
        ran++;
        tasks.removeLast().run();
    }

    public int waiting() {
        return tasks.size();
    }

    /** How many tasks have run. */
    public int ran() {
        return ran;
    }
}
