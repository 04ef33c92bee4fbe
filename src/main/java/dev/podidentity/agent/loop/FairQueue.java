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
    /** The thing whose turn it is, or null. */
    private T turnOf;
    private String turnOfSource;
    /** Whether it is to have another turn. */
    private boolean again;

    /** @param mostRunning how many things run at once at most */
    public FairQueue(int mostRunning, Runner<T> runner) {
        this.mostRunning = mostRunning;
        this.runner = runner;
    }

    /** Runs it now or when its turn comes. It may be in the queues of several sources, and must then be withdrawn from the others. */
    public void add(String source, T item) {
        if (hasItsTurn(source, item)) {
            // Until its turn is over it is still the first of its queue.
            again = true;
        } else {
            put(source, item);
            serve();
        }
    }

    /** Takes something out of a source's queue; does nothing if it is not there. */
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
        // Before it runs, as it may end at once.
        running++;
        // One whose runner throws does not run, and is not tried again.
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

    /** How many things wait, counted once for each source. */
    public int waiting() {
        return waiting;
    }

    /** How many things of a source wait. */
    public int waiting(String source) {
        LinkedHashSet<T> queue = queues.get(source);
        return queue == null ? 0 : queue.size();
    }

    /** How many things run. */
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
