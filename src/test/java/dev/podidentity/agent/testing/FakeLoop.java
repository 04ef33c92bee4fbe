package dev.podidentity.agent.testing;

import java.util.ArrayDeque;
import java.util.concurrent.Executor;

/**
 * Runs each task immediately, or, like a real event loop, after the running task if that one submitted it. An exception in
 * one task does not prevent the others from running; it is rethrown after them.
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
