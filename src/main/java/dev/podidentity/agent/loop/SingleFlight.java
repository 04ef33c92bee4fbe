package dev.podidentity.agent.loop;

import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.Predicate;
import java.util.function.Supplier;

/**
 * Coalesces requests for the same result: there is at most one flight per key at a time, and later requests join it, each
 * with its own timeout. A flight continues when no request waits for it any more. The flight decides what the work is and
 * when it starts. Confined to the event loop.
 *
 * @param <K> the key of a result
 * @param <F> the type of the flights
 */
public final class SingleFlight<K, F extends SingleFlight.Flight<?, ?>> {

    private final Map<K, F> underWay = new HashMap<>();

    /** Returns the current flight for a key, or null. */
    public F find(K key) {
        return underWay.get(key);
    }

    /** Makes a flight available to others until it ends. It must not have ended, and there must be none for the key. */
    public void begin(K key, F flight) {
        if (flight.over()) {
            throw new IllegalStateException("The flight has ended");
        }
        if (underWay.putIfAbsent(key, flight) != null) {
            throw new IllegalStateException("There is a flight for this key already");
        }
        ((Flight<?, ?>) flight).landed = () -> underWay.remove(key, flight);
    }

    /** Returns all current flights; they must not change during iteration. */
    public Collection<F> all() {
        return underWay.values();
    }

    /**
     * One piece of work, and the waiters for its result.
     *
     * @param <W> the waiters; each receives one result
     * @param <R> the result
     */
    public abstract static class Flight<W extends Consumer<? super R>, R> {

        private final Loop loop;
        private final Set<Waiting> waiting = new LinkedHashSet<>();
        private Runnable landed = () -> {};
        private boolean over;

        /** @param loop the event loop to which this flight is confined */
        protected Flight(Loop loop) {
            this.loop = loop;
        }

        /**
         * Adds a waiter. The flight must not have ended.
         *
         * @param waiter receives exactly one result, unless it is abandoned first
         * @param patience the timeout, after which the waiter receives the other result
         * @param otherwise supplies that other result
         */
        public final Waiting join(W waiter, Duration patience, Supplier<? extends R> otherwise) {
            if (over) {
                throw new IllegalStateException("The flight has ended");
            }
            Waiting place = new Waiting(waiter);
            waiting.add(place);
            place.timer = loop.schedule(patience, () -> place.give(otherwise.get()));
            return place;
        }

        /** Returns the current waiters. */
        protected final List<W> waiters() {
            return waiting.stream().map(place -> place.waiter).toList();
        }

        /** Returns whether there are no waiters. */
        public final boolean deserted() {
            return waiting.isEmpty();
        }

        /** Returns whether the flight has ended, so that it cannot be joined. */
        public final boolean over() {
            return over;
        }

        /** Gives a result to some of the waiters; the flight continues for the others. */
        protected final void give(R result, Predicate<? super W> which) {
            // Each in its own task, so that a waiter that fails does not affect the others.
            List.copyOf(waiting).stream()
                    .filter(place -> which.test(place.waiter))
                    .forEach(place -> loop.execute(() -> place.give(result)));
        }

        /**
         * Ends the flight, and gives the result to all waiters.
         *
         * @return false if it had already ended
         */
        protected final boolean end(R result) {
            if (over) {
                return false;
            }
            over = true;
            landed.run();
            give(result, waiter -> true);
            return true;
        }

        /** Called when the last waiter has received another result or was abandoned. */
        protected void left() {
            // By default the work continues, because its result will be needed.
        }

        /** A waiter's place in the flight. Equal only to itself. */
        public final class Waiting {

            private final W waiter;
            private Timers.Timer timer;

            private Waiting(W waiter) {
                this.waiter = waiter;
            }

            /**
             * Stops waiting; the waiter receives nothing. The flight continues.
             *
             * @return false if the waiter already received a result
             */
            public boolean abandon() {
                boolean waited = leave();
                if (waited && waiting.isEmpty() && !over) {
                    left();
                }
                return waited;
            }

            private void give(R result) {
                if (leave()) {
                    if (waiting.isEmpty() && !over) {
                        left();
                    }
                    waiter.accept(result);
                }
            }

            private boolean leave() {
                timer.cancel();
                return waiting.remove(this);
            }
        }
    }
}
