package dev.podidentity.agent.verification;

import java.util.ArrayDeque;
import java.util.concurrent.Executor;

/** A worker that runs tasks when a test says so. */
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

    /** From now on, tasks wait. */
    public void hold() {
        busy = true;
    }

    /** Runs the waiting tasks, and from now on all tasks immediately. */
    public void release() {
        busy = false;
        while (!tasks.isEmpty()) {
            ran++;
            tasks.remove().run();
        }
    }

    /** Runs this many waiting tasks, in order. */
    public void run(int count) {
        for (int i = 0; i < count; i++) {
            ran++;
            tasks.remove().run();
        }
    }

    /** Runs the newest task, as another worker thread could do before the others. */
    public void runLast() {
        ran++;
        tasks.removeLast().run();
    }

    public int waiting() {
        return tasks.size();
    }

    /** Returns how many tasks have run. */
    public int ran() {
        return ran;
    }
}
