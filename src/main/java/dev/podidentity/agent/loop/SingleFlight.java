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
 * Work that is done once for all who want its result. There is at most one flight for a key at a time; whoever asks
 * meanwhile joins it, and waits no longer than it can. A flight goes on when nobody waits any more. What the work is, and
 * when it begins, is the flight's own. Confined to the event loop.
 *
 * @param <K> what is wanted
 * @param <F> the flights
 */
public final class SingleFlight<K, F extends SingleFlight.Flight<?, ?>> {

    private final Map<K, F> underWay = new HashMap<>();

    /** The flight for a key that is under way, or null. */
    public F find(K key) {
        return underWay.get(key);
    }

    /** Lets others find a flight until it ends. It must not have ended, and there must be none for the key. */
    public void begin(K key, F flight) {
        if (flight.over()) {
            throw new IllegalStateException("The flight has ended");
        }
        if (underWay.putIfAbsent(key, flight) != null) {
            throw new IllegalStateException("There is a flight for this key already");
        }
        ((Flight<?, ?>) flight).landed = () -> underWay.remove(key, flight);
    }

    /** All flights under way; not to be changed while they are looked at. */
    public Collection<F> all() {
        return underWay.values();
    }

    /**
     * One piece of work and all who wait for its result.
     *
     * @param <W> those who wait; each is given one result
     * @param <R> the result
     */
    public abstract static class Flight<W extends Consumer<? super R>, R> {

        private final Loop loop;
        private final Set<Waiting> waiting = new LinkedHashSet<>();
        private Runnable landed = () -> {};
        private boolean over;

        /**
         * @param loop to which this is confined
         */
        protected Flight(Loop loop) {
            this.loop = loop;
        }

        /**
         * Lets somebody wait for the result. It must not have ended.
         *
         * @param waiter is given exactly one result, unless it is abandoned first
         * @param patience the time after which it is given another one instead
         * @param otherwise that other one
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

        /** Those who wait now. */
        protected final List<W> waiters() {
            return waiting.stream().map(place -> place.waiter).toList();
        }

        /** Whether nobody waits, or nobody any more. */
        public final boolean deserted() {
            return waiting.isEmpty();
        }

        /** Whether it has ended, so that nobody finds it any more. */
        public final boolean over() {
            return over;
        }

        /** Gives a result to some of those who wait, and goes on for the others. */
        protected final void give(R result, Predicate<? super W> which) {
            // Each in a task of its own, so that one that fails does not harm the others.
            List.copyOf(waiting).stream()
                    .filter(place -> which.test(place.waiter))
                    .forEach(place -> loop.execute(() -> place.give(result)));
        }

        /**
         * Ends it, and gives the result to all who wait.
         *
         * @return false if it had ended already
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

        /** Called when the last one who waited has been given another result or has been abandoned. */
        protected void left() {
            // Most work goes on: its result will be wanted.
        }

        /** Somebody's place among those who wait. Equal only to itself. */
        public final class Waiting {

            private final W waiter;
            private Timers.Timer timer;

            private Waiting(W waiter) {
                this.waiter = waiter;
            }

            /**
             * Waits no more, and is given nothing. The flight goes on.
             *
             * @return false if a result was given already
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
