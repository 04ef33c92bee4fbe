package dev.podidentity.agent.loop;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class RefusalBackoffTest {

    private static final Duration LONG = Duration.ofMinutes(10);

    @Test
    void asksAgainWithinSecondsAtFirst() {
        assertThat(IntStream.rangeClosed(1, 11).mapToLong(refusals -> RefusalBackoff.pause(refusals, 0).toSeconds()))
                .containsExactly(1L, 2L, 4L, 8L, 16L, 32L, 60L, 60L, 60L, 60L, 60L);
    }

    @Test
    void takesTheLongPauseOnceTheRefusalHasBeenRepeatedForMinutes() {
        assertThat(RefusalBackoff.pause(12, 0)).isEqualTo(LONG);
        assertThat(RefusalBackoff.pause(Integer.MAX_VALUE, 0)).isEqualTo(LONG);
        assertThat(RefusalBackoff.believed(11)).isFalse();
        assertThat(RefusalBackoff.believed(12)).isTrue();
    }

    @Test
    void doubtsForThreeMinutesAtLeast() {
        Duration shortest = IntStream.range(1, RefusalBackoff.BELIEVED)
                .mapToObj(refusals -> RefusalBackoff.pause(refusals, 1))
                .reduce(Duration.ZERO, Duration::plus);

        assertThat(shortest).isBetween(Duration.ofMinutes(3), Duration.ofMinutes(4));
    }

    @Test
    void shortensEveryPauseByUpToAHalf() {
        for (int refusals = 1; refusals <= 2 * RefusalBackoff.BELIEVED; refusals++) {
            Duration whole = RefusalBackoff.pause(refusals, 0);

            assertThat(RefusalBackoff.pause(refusals, 1)).isEqualTo(whole.dividedBy(2));
            assertThat(RefusalBackoff.pause(refusals, 0.5)).isBetween(whole.dividedBy(2), whole);
        }
    }
}
