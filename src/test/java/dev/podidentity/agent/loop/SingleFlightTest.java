package dev.podidentity.agent.loop;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import dev.podidentity.agent.testing.FakeTime;
import dev.podidentity.agent.testing.TestLoop;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.function.Consumer;
import java.util.function.Predicate;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SingleFlightTest {

    private static final Duration PATIENCE = Duration.ofMillis(300);

    private final FakeTime time = new FakeTime();
    private final ArrayDeque<Runnable> loop = new ArrayDeque<>();
    private final SingleFlight<String, TestFlight> flights = new SingleFlight<>();

    @Test
    void isFoundUntilItEnds() {
        // Given
        TestFlight flight = begin("a");
        assertThat(flights.find("a")).isSameAs(flight);
        assertThat(flights.find("b")).isNull();
        assertThat(flights.all()).containsExactly(flight);

        // When
        assertThat(flight.end("done")).isTrue();

        // Then
        assertThat(flight.over()).isTrue();
        assertThat(flights.find("a")).isNull();
        assertThat(flights.all()).isEmpty();
        TestFlight next = begin("a");
        assertThat(flight.end("once more")).isFalse();
        assertThat(flights.find("a")).isSameAs(next);
    }

    @Test
    void givesItsResultToAllWhoWait() {
        // Given
        TestFlight flight = begin("a");
        List<Waiter> waiters = List.of(join(flight), join(flight), join(flight));

        // When
        flight.end("done");
        runLoop();

        // Then
        assertThat(waiters).allSatisfy(waiter -> assertThat(waiter.results).containsExactly("done"));
        assertThat(time.pending()).as("pending timers").isZero();
    }

    @Test
    void letsNobodyWaitLongerThanItCan() {
        // Given
        TestFlight flight = begin("a");
        Waiter first = join(flight);
        time.advanceMillis(100);
        Waiter second = join(flight);

        // When
        time.advanceMillis(200);

        // Then
        assertThat(first.results).containsExactly("late");
        assertThat(flight.deserted()).isFalse();
        assertThat(flight.left).isZero();

        // When
        time.advanceMillis(100);

        // Then
        assertThat(second.results).containsExactly("late");
        assertThat(flight.deserted()).isTrue();
        assertThat(flight.left).isEqualTo(1);
        assertThat(flights.find("a")).as("the flight continues").isSameAs(flight);
        flight.end("done");
        runLoop();
        assertThat(first.results).hasSize(1);
    }

    @Test
    void givesNothingToWhoWaitsNoMore() {
        // Given
        TestFlight flight = begin("a");
        Waiter waiter = join(flight);

        // When
        waiter.place.abandon();
        waiter.place.abandon();
        flight.end("done");
        runLoop();
        time.advance(PATIENCE);

        // Then
        assertThat(waiter.results).isEmpty();
        assertThat(flight.left).isEqualTo(1);
    }

    @Test
    void givesAResultToSomeAndGoesOnForTheOthers() {
        // Given
        TestFlight flight = begin("a");
        Waiter some = join(flight);
        Waiter other = join(flight);

        // When
        flight.giveTo("refused", waiter -> waiter == some);
        runLoop();

        // Then
        assertThat(some.results).containsExactly("refused");
        assertThat(flight.over()).isFalse();

        // When
        flight.end("done");
        runLoop();

        // Then
        assertThat(some.results).hasSize(1);
        assertThat(other.results).containsExactly("done");
    }

    @Test
    void isNotDesertedByTheResultItself() {
        // Given
        TestFlight flight = begin("a");
        join(flight);

        // When
        flight.end("done");
        runLoop();

        // Then
        assertThat(flight.left).isZero();
        assertThat(flight.deserted()).isTrue();
    }

    @Test
    void keepsTheOthersFromTheHarmOfOneThatFails() {
        // Given
        TestFlight flight = begin("a");
        flight.join(
                new Waiter(true) {

                    @Override
                    public void accept(String result) {
                        throw new IllegalStateException("cannot take it");
                    }
                },
                PATIENCE,
                () -> "late");
        Waiter other = join(flight);

        // When
        flight.end("done");
        assertThatIllegalStateException().isThrownBy(this::runLoop);
        runLoop();

        // Then
        assertThat(other.results).containsExactly("done");
    }

    @Test
    void letsNobodyWaitForWhatHasEnded() {
        // Given
        TestFlight flight = new TestFlight();
        flight.end("done");

        // Then
        assertThatIllegalStateException().isThrownBy(() -> join(flight));
        assertThatIllegalStateException().isThrownBy(() -> flights.begin("a", flight));
    }

    @Test
    void isTheOnlyOneForItsKey() {
        begin("a");

        assertThatIllegalStateException().isThrownBy(() -> flights.begin("a", new TestFlight()));
    }

    /** Takes random steps and compares each waiter's results with a model. */
    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
    void givesEachWhoWaitsOneResult(long seed) {
        Random random = new Random(seed);
        List<Waiter> all = new ArrayList<>();
        ArrayDeque<Given> given = new ArrayDeque<>();
        for (int step = 0; step < 3_000; step++) {
            String key = "key-" + random.nextInt(4);
            TestFlight flight = flights.find(key);
            switch (random.nextInt(12)) {
                case 0, 1, 2, 3 -> {
                    TestFlight joined = flight == null ? begin(key) : flight;
                    Waiter waiter = join(joined, step % 2 == 0);
                    waiter.until = time.elapsed().plus(PATIENCE);
                    all.add(waiter);
                    joined.model.add(waiter);
                }
                case 4 -> {
                    if (!all.isEmpty()) {
                        Waiter waiter = all.get(random.nextInt(all.size()));
                        waiter.place.abandon();
                        waiter.leaves();
                    }
                }
                case 5 -> {
                    if (flight != null) {
                        boolean even = random.nextBoolean();
                        String result = "some " + step;
                        flight.giveTo(result, waiter -> waiter.even == even);
                        flight.model.stream()
                                .filter(waiter -> waiter.even == even)
                                .forEach(waiter -> given.add(new Given(waiter, result)));
                    }
                }
                case 6 -> {
                    if (flight != null) {
                        String result = "end " + step;
                        flight.end(result);
                        flight.modelOver = true;
                        flight.model.forEach(waiter -> given.add(new Given(waiter, result)));
                    }
                }
                case 7, 8, 9 -> {
                    if (!loop.isEmpty()) {
                        loop.remove().run();
                        Given next = given.remove();
                        if (next.waiter.waits) {
                            next.waiter.expected.add(next.result);
                            next.waiter.leaves();
                        }
                    }
                }
                default -> {
                    time.advanceMillis(random.nextInt(60));
                    all.stream()
                            .filter(waiter -> waiter.waits && waiter.until.compareTo(time.elapsed()) <= 0)
                            .forEach(waiter -> {
                                waiter.expected.add("late");
                                waiter.leaves();
                            });
                }
            }

            assertThat(loop).hasSameSizeAs(given);
            assertThat(time.pending()).isEqualTo((int) all.stream().filter(waiter -> waiter.waits).count());
            assertThat(all).allSatisfy(waiter -> {
                assertThat(waiter.results).isEqualTo(waiter.expected).hasSizeLessThanOrEqualTo(1);
                assertThat(waiter.flight.deserted()).isEqualTo(waiter.flight.model.isEmpty());
                assertThat(waiter.flight.left).isEqualTo(waiter.flight.modelLeft);
            });
            // Forget the waiters that ended more than a second ago.
            all.removeIf(waiter -> !waiter.waits && waiter.until.compareTo(time.elapsed().minusSeconds(1)) < 0);
        }
    }

    private record Given(Waiter waiter, String result) {}

    private TestFlight begin(String key) {
        TestFlight flight = new TestFlight();
        flights.begin(key, flight);
        return flight;
    }

    private static Waiter join(TestFlight flight) {
        return join(flight, true);
    }

    private static Waiter join(TestFlight flight, boolean even) {
        Waiter waiter = new Waiter(even);
        waiter.flight = flight;
        waiter.place = flight.join(waiter, PATIENCE, () -> "late");
        return waiter;
    }

    private void runLoop() {
        while (!loop.isEmpty()) {
            loop.remove().run();
        }
    }

    private final class TestFlight extends SingleFlight.Flight<Waiter, String> {

        private int left;
        private final List<Waiter> model = new ArrayList<>();
        private boolean modelOver;
        private int modelLeft;

        TestFlight() {
            super(new TestLoop(time, loop::add));
        }

        void giveTo(String result, Predicate<Waiter> which) {
            give(result, which);
        }

        @Override
        protected void left() {
            left++;
        }
    }

    private static class Waiter implements Consumer<String> {

        private final boolean even;
        private final List<String> results = new ArrayList<>();
        private final List<String> expected = new ArrayList<>();
        private TestFlight flight;
        private SingleFlight.Flight<Waiter, String>.Waiting place;
        private boolean waits = true;
        private Duration until;

        Waiter(boolean even) {
            this.even = even;
        }

        @Override
        public void accept(String result) {
            results.add(result);
        }

        /** Removes this waiter from the model of its flight. */
        void leaves() {
            if (!waits) {
                return;
            }
            waits = false;
            flight.model.remove(this);
            if (flight.model.isEmpty() && !flight.modelOver) {
                flight.modelLeft++;
            }
        }
    }
}
