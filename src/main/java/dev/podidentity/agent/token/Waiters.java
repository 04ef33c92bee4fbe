package dev.podidentity.agent.token;

import dev.podidentity.agent.loop.Timers;
import dev.podidentity.agent.loop.Timers.Timer;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Executor;
import java.util.function.Consumer;
import java.util.function.Supplier;

/**
 * All who wait for one verdict, each for {@link TokenVerification#PATIENCE} at the most. Confined to the event loop.
 */
final class Waiters {

    private final Timers timers;
    private final Executor loop;
    private final Set<Waiter> waiters = new LinkedHashSet<>();

    Waiters(Timers timers, Executor loop) {
        this.timers = timers;
        this.loop = loop;
    }

    /**
     * Lets one more wait.
     *
     * @param verdict is called exactly once
     * @param otherwise what it is given if there is no verdict in time
     * @param last runs after that if nobody is left
     */
    void add(Consumer<Verification> verdict, Supplier<Verification> otherwise, Runnable last) {
        Waiter waiter = new Waiter(verdict);
        waiters.add(waiter);
        waiter.timer = timers.schedule(TokenVerification.PATIENCE, () -> {
            Verification instead = otherwise.get();
            waiters.remove(waiter);
            if (waiters.isEmpty()) {
                last.run();
            }
            waiter.verdict.accept(instead);
        });
    }

    boolean isEmpty() {
        return waiters.isEmpty();
    }

    /** Gives all who wait the verdict, each in a task of its own, so that one that fails does not harm the others. */
    void answer(Verification verdict) {
        List<Waiter> all = List.copyOf(waiters);
        waiters.clear();
        for (Waiter waiter : all) {
            waiter.timer.cancel();
            loop.execute(() -> waiter.verdict.accept(verdict));
        }
    }

    /** Equal only to itself. */
    private static final class Waiter {

        private final Consumer<Verification> verdict;
        private Timer timer;

        Waiter(Consumer<Verification> verdict) {
            this.verdict = verdict;
        }
    }
}
