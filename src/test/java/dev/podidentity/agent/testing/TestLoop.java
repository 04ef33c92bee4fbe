package dev.podidentity.agent.testing;

import dev.podidentity.agent.loop.Loop;
import dev.podidentity.agent.loop.Timers;
import java.time.Duration;
import java.util.concurrent.Executor;

/** Combines a test's timers and executor into an event loop. */
public record TestLoop(Timers timers, Executor executor) implements Loop {

    @Override
    public Timer schedule(Duration delay, Runnable task) {
        return timers.schedule(delay, task);
    }

    @Override
    public void execute(Runnable task) {
        executor.execute(task);
    }
}
