package dev.podidentity.agent.testing;

import java.util.ArrayDeque;
import java.util.concurrent.Executor;

/**
 * An event loop that runs a task at once, or, as a real one does, after the task that gave it. A task that throws does
 * not keep the others from running; its exception is thrown after them.
 */
public final class FakeLoop implements Executor {

    private final ArrayDeque<Runnable> tasks = new ArrayDeque<>();
    private boolean running;

    @Override
    public void execute(Runnable task) {
        tasks.add(task);
        if (running) {
            return;
        }
        running = true;
        RuntimeException thrown = null;
        while (!tasks.isEmpty()) {
            try {
                tasks.remove().run();
            } catch (RuntimeException e) {
                thrown = e;
            }
        }
        running = false;
        if (thrown != null) {
            throw thrown;
        }
    }
}
