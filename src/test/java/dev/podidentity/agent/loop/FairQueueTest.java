package dev.podidentity.agent.loop;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import dev.podidentity.agent.loop.FairQueue.Turn;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.function.BiFunction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class FairQueueTest {

    private final List<String> started = new ArrayList<>();
    private BiFunction<String, String, Turn> decision = (source, item) -> Turn.STARTED;

    private FairQueue<String> queue = queue(1);

    @Test
    void runsAsManyAsMayRunAtOnce() {
        // Given
        queue = queue(2);

        // When
        add("a", "a1", "a2", "a3");

        // Then
        assertThat(started).containsExactly("a1", "a2");
        assertThat(queue.running()).isEqualTo(2);
        assertThat(queue.waiting()).isEqualTo(1);

        // When
        queue.done();

        // Then
        assertThat(started).containsExactly("a1", "a2", "a3");
        assertThat(queue.waiting()).isZero();
    }

    @Test
    void servesTheSourcesInTurns() {
        // Given
        add("a", "a1", "a2", "a3", "a4");
        add("b", "b1", "b2");
        add("c", "c1");

        // When
        finish(6);

        // Then
        assertThat(started).containsExactly("a1", "a2", "b1", "c1", "a3", "b2", "a4");
    }

    @Test
    void doesNotRunWhatIsWithdrawn() {
        // Given
        add("a", "a1", "a2", "a3");

        // When
        queue.withdraw("a", "a2");
        queue.withdraw("b", "a3");

        // Then
        assertThat(queue.waiting()).isEqualTo(1);
        finish(2);
        assertThat(started).containsExactly("a1", "a3");
    }

    @Test
    void goesOnAfterWhatIsDropped() {
        // Given
        decision = (source, item) -> item.equals("a1") ? Turn.DROPPED : Turn.STARTED;

        // When
        add("a", "a1", "a2");

        // Then
        assertThat(started).containsExactly("a2");
        assertThat(queue.running()).isEqualTo(1);
        assertThat(queue.waiting()).isZero();
    }

    @Test
    void passesOverASourceThatHasToWait() {
        // Given
        decision = (source, item) -> source.equals("a") ? Turn.SOURCE_WAITS : Turn.STARTED;

        // When
        add("a", "a1", "a2");
        add("b", "b1", "b2");
        finish(1);

        // Then
        assertThat(started).containsExactly("b1", "b2");
        assertThat(queue.waiting()).isEqualTo(2);

        // When
        decision = (source, item) -> Turn.STARTED;
        finish(2);

        // Then
        assertThat(started).containsExactly("b1", "b2", "a1", "a2");
    }

    @Test
    void runsNothingWhileAllWait() {
        // Given
        decision = (source, item) -> Turn.ALL_WAIT;
        add("a", "a1", "a2");
        add("b", "b1");

        // When
        decision = (source, item) -> Turn.STARTED;
        assertThat(started).isEmpty();
        queue.serve();
        finish(2);

        // Then
        assertThat(started).containsExactly("a1", "b1", "a2");
    }

    @Test
    void takesNoTaskTwiceForASource() {
        // Given
        add("a", "a1");

        // When
        add("a", "a2", "a2");

        // Then
        assertThat(queue.waiting()).isEqualTo(1);
    }

    @Test
    void runsWhatEndsAtOnceOneAfterTheOther() {
        // Given
        decision = (source, item) -> {
            queue.done();
            return Turn.STARTED;
        };

        // When
        add("a", "a1", "a2", "a3");

        // Then
        assertThat(started).containsExactly("a1", "a2", "a3");
        assertThat(queue.running()).isZero();
    }

    @Test
    void givesAnotherTurnToWhatIsAddedAgainInItsTurn() {
        // Given
        queue = queue(2);
        decision = (source, item) -> {
            if (started.stream().filter("a1"::equals).count() == 0) {
                queue.add("a", "a1");
            }
            return Turn.STARTED;
        };

        // When
        add("a", "a1");

        // Then
        assertThat(started).containsExactly("a1", "a1");
        assertThat(queue.waiting()).isZero();
    }

    @Test
    void doesNotRunAgainWhatIsWithdrawnInItsTurn() {
        // Given
        decision = (source, item) -> {
            queue.add("a", "a1");
            queue.withdraw("a", "a1");
            return Turn.SOURCE_WAITS;
        };

        // When
        add("a", "a1");

        // Then
        assertThat(queue.waiting()).isZero();
        assertThat(queue.running()).isZero();
    }

    @Test
    void keepsItsPlaceForTheOthersIfStartingOneGoesWrong() {
        // Given
        decision = (source, item) -> {
            if (item.equals("a1")) {
                throw new IllegalStateException("cannot be started");
            }
            return Turn.STARTED;
        };

        // When
        assertThatIllegalStateException().isThrownBy(() -> add("a", "a1"));
        add("a", "a2");

        // Then
        assertThat(started).containsExactly("a2");
        assertThat(queue.running()).isEqualTo(1);
        assertThat(queue.waiting()).isZero();
    }

    /**
     * Takes random steps and checks after each that no more items run than allowed, that no item waits that could run, that each
     * source's items run in order, and that no source gets two turns while another eligible source waits.
     */
    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
    void isFairAndNeverIdle(long seed) {
        Random random = new Random(seed);
        int most = 1 + random.nextInt(4);
        Map<String, List<String>> waiting = new HashMap<>();
        Set<String> blocked = new HashSet<>();
        Set<String> dropped = new HashSet<>();
        boolean[] allWait = new boolean[1];
        // For each source: the sources that have had a turn since it became eligible.
        Map<String, Set<String>> served = new HashMap<>();
        int[] running = new int[1];
        queue = new FairQueue<>(most, (source, item) -> {
            assertThat(item).as("the first waiting item of its source").isEqualTo(waiting.get(source).get(0));
            if (allWait[0]) {
                return Turn.ALL_WAIT;
            }
            if (blocked.contains(source)) {
                return Turn.SOURCE_WAITS;
            }
            waiting.get(source).remove(0);
            waiting.values().removeIf(List::isEmpty);
            served.remove(source);
            waiting.keySet().stream().filter(other -> !blocked.contains(other) && !other.equals(source)).forEach(other ->
                    assertThat(served.computeIfAbsent(other, key -> new HashSet<>()).add(source))
                            .as("%s has one turn at most while %s waits", source, other)
                            .isTrue());
            if (dropped.contains(item)) {
                return Turn.DROPPED;
            }
            running[0]++;
            return Turn.STARTED;
        });
        for (int step = 0; step < 3_000; step++) {
            String source = "source-" + random.nextInt(6);
            switch (random.nextInt(9)) {
                case 0, 1, 2 -> {
                    String item = "item-" + step;
                    if (random.nextInt(8) == 0) {
                        dropped.add(item);
                    }
                    waiting.computeIfAbsent(source, key -> new ArrayList<>()).add(item);
                    queue.add(source, item);
                }
                case 3, 4, 5 -> {
                    if (running[0] > 0) {
                        running[0]--;
                        queue.done();
                    }
                }
                case 6 -> Optional.ofNullable(waiting.get(source)).ifPresent(items -> {
                    String item = items.remove(random.nextInt(items.size()));
                    if (items.isEmpty()) {
                        waiting.remove(source);
                        served.remove(source);
                    }
                    queue.withdraw(source, item);
                });
                case 7 -> {
                    // A blocked source may be passed over, so its count starts again.
                    served.remove(source);
                    if (!blocked.add(source)) {
                        blocked.remove(source);
                        queue.serve();
                    }
                }
                default -> {
                    allWait[0] = !allWait[0] && random.nextInt(4) == 0;
                    queue.serve();
                }
            }

            assertThat(queue.running()).isEqualTo(running[0]).isLessThanOrEqualTo(most);
            assertThat(queue.waiting()).isEqualTo(waiting.values().stream().mapToInt(List::size).sum());
            if (running[0] < most && !allWait[0]) {
                assertThat(blocked).as("only blocked sources have waiting items").containsAll(waiting.keySet());
            }
        }
    }

    private FairQueue<String> queue(int most) {
        return new FairQueue<>(most, (source, item) -> {
            Turn turn = decision.apply(source, item);
            if (turn == Turn.STARTED) {
                started.add(item);
            }
            return turn;
        });
    }

    private void add(String source, String... items) {
        for (String item : items) {
            queue.add(source, item);
        }
    }

    private void finish(int count) {
        for (int i = 0; i < count; i++) {
            queue.done();
        }
    }
}
