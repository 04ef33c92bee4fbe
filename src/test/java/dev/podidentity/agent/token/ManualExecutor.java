package dev.podidentity.agent.token;

import java.util.ArrayDeque;
import java.util.concurrent.Executor;

/** A worker that works when a test says so. */
final class ManualExecutor implements Executor {

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
    void hold() {
        busy = true;
    }

    /** Runs what waits, and from now on everything at once. */
    void release() {
        busy = false;
        while (!tasks.isEmpty()) {
            ran++;
            tasks.remove().run();
        }
    }

    /** Runs so many of those that wait, in their order. */
    void run(int count) {
        for (int i = 0; i < count; i++) {
            ran++;
            tasks.remove().run();
        }
    }

    /** Runs what was given last, as another thread of the worker could before the others. */
    void runLast() {
        ran++;
        tasks.removeLast().run();
    }

    int waiting() {
        return tasks.size();
    }

    /** How many tasks have run. */
    int ran() {
        return ran;
    }
}
