package dev.podidentity.agent.loop;

import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.Map;

/**
 * Runs a bounded number of things at once. The ones beyond wait in a queue for each source address, and the queues are
 * served round-robin, so that a source that asks for thousands of things delays only itself. What may wait is bounded by
 * whoever adds it, with {@link Shares}. Confined to the event loop.
 *
 * @param <T> what waits; compared by identity or as its {@code equals} says
 */
public final class FairQueue<T> {

    /** What becomes of the thing whose turn it is. */
    public enum Turn {
        /** It runs, and counts as running until {@link FairQueue#done} is called for it. */
        STARTED,
        /** It does not run after all, and waits no more. */
        DROPPED,
        /** Nothing of this source may run now; the other sources may. It stays the first of its queue. */
        SOURCE_WAITS,
        /** Nothing may run until {@link FairQueue#serve} is called. It stays the first of its queue. */
        ALL_WAIT
    }

    /** Decides about what is next, and starts it. May add, withdraw and finish things. */
    @FunctionalInterface
    public interface Runner<T> {

        Turn run(String source, T item);
    }

    private final int mostRunning;
    private final Runner<T> runner;
    /** In the order of their turns. None is empty. */
    private final Map<String, LinkedHashSet<T>> queues = new LinkedHashMap<>();
    private int running;
    private int waiting;
    private boolean serving;

    /** @param mostRunning how many things run at once at most */
    public FairQueue(int mostRunning, Runner<T> runner) {
        this.mostRunning = mostRunning;
        this.runner = runner;
    }

    /** Runs it now or when its turn comes. It may be in the queues of several sources, and must then be withdrawn from the others. */
    public void add(String source, T item) {
        if (queues.computeIfAbsent(source, key -> new LinkedHashSet<>()).add(item)) {
            waiting++;
        }
        serve();
    }

    /** Takes something out of a source's queue; does nothing if it is not there. */
    public void withdraw(String source, T item) {
        LinkedHashSet<T> queue = queues.get(source);
        if (queue != null && queue.remove(item)) {
            waiting--;
            if (queue.isEmpty()) {
                queues.remove(source);
            }
        }
    }

    /** Something that was started has ended. */
    public void done() {
        running--;
        serve();
    }

    /** Runs what may run; to be called when what made the runner wait has changed. */
    public void serve() {
        if (serving) {
            // The turn that is under way goes on with what this call would have run.
            return;
        }
        serving = true;
        try {
            int skipped = 0;
            while (running < mostRunning && skipped < queues.size()) {
                String source = queues.keySet().iterator().next();
                T item = queues.get(source).iterator().next();
                // Before it runs, as it may end at once.
                running++;
                Turn turn = runner.run(source, item);
                if (turn != Turn.STARTED) {
                    running--;
                }
                if (turn == Turn.ALL_WAIT) {
                    return;
                }
                if (turn == Turn.SOURCE_WAITS) {
                    skipped++;
                } else {
                    skipped = 0;
                    withdraw(source, item);
                }
                makeLast(source);
            }
        } finally {
            serving = false;
        }
    }

    /** How many things wait, counted once for each source. */
    public int waiting() {
        return waiting;
    }

    /** How many things run. */
    public int running() {
        return running;
    }

    private void makeLast(String source) {
        LinkedHashSet<T> queue = queues.remove(source);
        if (queue != null) {
            queues.put(source, queue);
        }
    }
}
