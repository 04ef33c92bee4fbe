package dev.podidentity.agent.loop;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SharesTest {

    private static final int TOTAL = 100;
    private static final int PER_SOURCE = 40;
    private static final int RESERVE = 5;

    private final Shares shares = new Shares(TOTAL, PER_SOURCE, RESERVE);

    @Test
    void givesASourceItsShareAndNoMore() {
        assertThat(shares.take("a", PER_SOURCE)).isTrue();
        assertThat(shares.take("a", 1)).isFalse();
        assertThat(shares.of("a")).isEqualTo(PER_SOURCE);
        assertThat(shares.take("b", PER_SOURCE)).isTrue();
    }

    @Test
    void givesAllTogetherNoMoreThanTheTotalButForTheReserves() {
        // Given
        shares.take("a", 40);
        shares.take("b", 40);
        shares.take("c", 20);

        // Then
        assertThat(shares.take("c", 1)).isFalse();
        assertThat(shares.take("d", RESERVE)).isTrue();
        assertThat(shares.take("d", 1)).isFalse();
        assertThat(shares.take("e", RESERVE + 1)).isFalse();
        assertThat(shares.ofAll()).isEqualTo(TOTAL + RESERVE);
    }

    @Test
    void reservesForAsManySourcesAsANodeHasPodsAndForNoMore() {
        // Given
        shares.take("a", PER_SOURCE);
        shares.take("b", TOTAL - PER_SOURCE);

        // When
        for (int i = 0; i < 10 * Shares.SOURCES; i++) {
            shares.take("source-" + i, RESERVE);
        }

        // Then
        assertThat(shares.ofAll()).isEqualTo(TOTAL + Shares.SOURCES * RESERVE);
    }

    @Test
    void hasRoomAgainForWhatIsGivenBack() {
        // Given
        shares.take("a", PER_SOURCE);

        // When
        shares.give("a", 10);

        // Then
        assertThat(shares.take("a", 11)).isFalse();
        assertThat(shares.take("a", 10)).isTrue();
    }

    @Test
    void takesNothingWhenItRefuses() {
        // When
        assertThat(shares.take("a", PER_SOURCE + 1)).isFalse();

        // Then
        assertThat(shares.of("a")).isZero();
        assertThat(shares.ofAll()).isZero();
    }

    @Test
    void refusesAmountsThatMakeNoSense() {
        shares.take("a", 3);

        assertThatIllegalStateException().isThrownBy(() -> shares.give("a", 4));
        assertThatIllegalStateException().isThrownBy(() -> shares.give("b", 1));
        assertThatIllegalArgumentException().isThrownBy(() -> shares.take("a", 0));
        assertThat(shares.ofAll()).isEqualTo(3);
        assertThatIllegalArgumentException().isThrownBy(() -> new Shares(10, 11, 0));
        assertThatIllegalArgumentException().isThrownBy(() -> new Shares(10, 5, 6));
        assertThatIllegalArgumentException().isThrownBy(() -> new Shares(10, 5, -1));
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5})
    void agreesWithAListOfWhatEachHolds(long seed) {
        // Given
        Random random = new Random(seed);
        List<Held> all = new ArrayList<>();

        for (int step = 0; step < 5_000; step++) {
            if (random.nextInt(5) < 3) {
                // When
                Held asked = new Held("source-" + random.nextInt(12), 1 + random.nextInt(12));
                boolean taken = shares.take(asked.source, asked.amount);

                // Then
                long ofSource = of(all, asked.source) + asked.amount;
                boolean room = ofSource <= PER_SOURCE && ofAll(all) + asked.amount <= TOTAL;
                assertThat(taken).isEqualTo(room || ofSource <= RESERVE);
                if (taken) {
                    all.add(asked);
                }
            } else if (!all.isEmpty()) {
                Held given = all.remove(random.nextInt(all.size()));
                shares.give(given.source, given.amount);
            }
            assertThat(shares.ofAll()).isEqualTo(ofAll(all)).isLessThanOrEqualTo(TOTAL + 12 * RESERVE);
            for (int source = 0; source < 12; source++) {
                assertThat(shares.of("source-" + source)).isEqualTo(of(all, "source-" + source));
            }
        }

        // Then
        all.forEach(held -> shares.give(held.source, held.amount));
    }

    private record Held(String source, long amount) {}

    private static long of(List<Held> all, String source) {
        return all.stream().filter(held -> held.source.equals(source)).mapToLong(Held::amount).sum();
    }

    private static long ofAll(List<Held> all) {
        return all.stream().mapToLong(Held::amount).sum();
    }
}
