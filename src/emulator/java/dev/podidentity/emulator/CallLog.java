package dev.podidentity.emulator;

import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicBoolean;

/** Counts the calls, and keeps the latest ones. */
final class CallLog {

    /** Enough for the largest load test; more would only use memory. */
    private static final int KEPT = 10_000;

    // All guarded by this.
    private final Deque<ReceivedCall> received = new ArrayDeque<>();
    private final Map<String, Integer> ofToken = new HashMap<>();
    private final List<Waiter> waiters = new ArrayList<>();
    private int calls;
    private int inFlight;
    private int maxInFlight;
    private long lastEnd;

    /** Records the start of a call, and returns the action that ends it. Ending it twice has no effect. */
    synchronized Runnable begin(String token) {
        calls++;
        ofToken.merge(token, 1, Integer::sum);
        maxInFlight = Math.max(maxInFlight, ++inFlight);
        if (received.size() == KEPT) {
            received.remove();
        }
        received.add(new ReceivedCall(token, Instant.now()));
        completeWaiters();
        AtomicBoolean ended = new AtomicBoolean();
        return () -> {
            if (ended.compareAndSet(false, true)) {
                end();
            }
        };
    }

    private synchronized void end() {
        inFlight--;
        lastEnd = System.nanoTime();
    }

    /** Resets the counts. Calls in flight stay in flight. */
    synchronized void reset() {
        received.clear();
        ofToken.clear();
        calls = 0;
        maxInFlight = inFlight;
    }

    synchronized CompletableFuture<Void> whenCalls(int count) {
        Waiter waiter = new Waiter(count, new CompletableFuture<>());
        waiters.add(waiter);
        completeWaiters();
        return waiter.reached();
    }

    private void completeWaiters() {
        waiters.removeIf(waiter -> {
            boolean reached = calls >= waiter.count();
            if (reached) {
                // Completed on another thread, so that the test's next step blocks neither this lock nor the event loop.
                waiter.reached().completeAsync(() -> null);
            }
            return reached;
        });
    }

    synchronized int calls() {
        return calls;
    }

    synchronized int calls(String token) {
        return ofToken.getOrDefault(token, 0);
    }

    synchronized int inFlight() {
        return inFlight;
    }

    synchronized int maxInFlight() {
        return maxInFlight;
    }

    synchronized long lastEnd() {
        return lastEnd;
    }

    synchronized List<ReceivedCall> received() {
        return List.copyOf(received);
    }

    private record Waiter(int count, CompletableFuture<Void> reached) {}
}
