package dev.podidentity.agent.loop;

import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.Map;

/**
 * Runs a bounded number of items at once. Further items wait in one queue per source address, and the queues are served
 * round-robin, so that a source with thousands of items delays only itself. Callers of {@link #add} must bound the number of
 * waiting items, with {@link Shares}. Confined to the event loop.
 *
 * @param <T> the items; compared with {@code equals}
 */
public final class FairQueue<T> {

    /** What happens to an item whose turn it is. */
    public enum Turn {
        /** It runs, and counts as running until {@link FairQueue#done} is called for it. */
        STARTED,
        /** It does not run, and is removed from the queue. */
        DROPPED,
        /** No item of this source may run now, but those of other sources may. It stays first in its queue. */
        SOURCE_WAITS,
        /** No item may run until {@link FairQueue#serve} is called. It stays first in its queue. */
        ALL_WAIT
    }

    /** Decides on the next item, and starts it. May add, withdraw and finish items. */
    @FunctionalInterface
    public interface Runner<T> {

        Turn run(String source, T item);
    }

    private final int mostRunning;
    private final Runner<T> runner;
    /** In the order of their turns. No queue is empty. */
    private final Map<String, LinkedHashSet<T>> queues = new LinkedHashMap<>();
    private int running;
    private int waiting;
    private boolean serving;
    /** The item whose turn it is, or null. */
    private T turnOf;
    private String turnOfSource;
    /** Whether that item was added again and gets another turn. */
    private boolean again;

    /** @param mostRunning the maximum number of items that run at once */
    public FairQueue(int mostRunning, Runner<T> runner) {
        this.mostRunning = mostRunning;
        this.runner = runner;
    }

    /**
     * Runs an item now or when its turn comes. An item may wait in the queues of several sources; once it runs, the caller
     * must withdraw it from the others.
     */
    public void add(String source, T item) {
        if (hasItsTurn(source, item)) {
            // Until its turn ends, the item is still first in its queue.
            again = true;
        } else {
            put(source, item);
            serve();
        }
    }

    /** Removes an item from a source's queue; does nothing if it is not there. */
    public void withdraw(String source, T item) {
        if (hasItsTurn(source, item)) {
            again = false;
        }
        LinkedHashSet<T> queue = queues.get(source);
        if (queue != null && queue.remove(item)) {
            waiting--;
            if (queue.isEmpty()) {
                queues.remove(source);
            }
        }
    }

    /** Reports that an item that was started has ended. */
    public void done() {
        running--;
        serve();
    }

    /** Runs what may run; call it when the condition that made the runner wait has changed. */
    public void serve() {
        if (serving) {
            // The turn in progress continues with what this call would have run.
            return;
        }
        serving = true;
        try {
            int skipped = 0;
            Turn turn = Turn.STARTED;
            while (turn != Turn.ALL_WAIT && running < mostRunning && skipped < queues.size()) {
                turn = next();
                skipped = turn == Turn.SOURCE_WAITS ? skipped + 1 : 0;
            }
        } finally {
            serving = false;
        }
    }

    private Turn next() {
        String source = queues.keySet().iterator().next();
        T item = queues.get(source).iterator().next();
        turnOf = item;
        turnOfSource = source;
        again = false;
        // Incremented before the item runs, because it may end at once.
        running++;
        // An item whose runner throws is dropped and not retried.
        Turn turn = Turn.DROPPED;
        try {
            turn = runner.run(source, item);
        } finally {
            turnOf = null;
            turnOfSource = null;
            ended(turn, source, item);
        }
        return turn;
    }

    private void ended(Turn turn, String source, T item) {
        if (turn != Turn.STARTED) {
            running--;
        }
        if (turn == Turn.STARTED || turn == Turn.DROPPED) {
            withdraw(source, item);
        }
        if (again) {
            put(source, item);
        }
        if (turn != Turn.ALL_WAIT) {
            makeLast(source);
        }
    }

    /** Returns the number of waiting items; one that waits in several queues counts once for each. */
    public int waiting() {
        return waiting;
    }

    /** Returns the number of waiting items of a source. */
    public int waiting(String source) {
        LinkedHashSet<T> queue = queues.get(source);
        return queue == null ? 0 : queue.size();
    }

    /** Returns the number of running items. */
    int running() {
        return running;
    }

    private void put(String source, T item) {
        if (queues.computeIfAbsent(source, key -> new LinkedHashSet<>()).add(item)) {
            waiting++;
        }
    }

    private boolean hasItsTurn(String source, T item) {
        return item.equals(turnOf) && source.equals(turnOfSource);
    }

    private void makeLast(String source) {
        LinkedHashSet<T> queue = queues.remove(source);
        if (queue != null) {
            queues.put(source, queue);
        }
    }
}
