package dev.podidentity.agent.loop;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.time.Duration;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class BackoffTest {

    private static final Backoff BACKOFF = new Backoff(Duration.ofSeconds(1), 2, Duration.ofSeconds(30));

    @Test
    void growsUpToTheLongestPause() {
        assertThat(IntStream.rangeClosed(1, 7).mapToLong(failures -> BACKOFF.pause(failures, 0).toSeconds()))
                .containsExactly(1L, 2L, 4L, 8L, 16L, 30L, 30L);
        assertThat(BACKOFF.pause(Integer.MAX_VALUE, 0)).isEqualTo(Duration.ofSeconds(30));
    }

    @Test
    void shortensEachPauseAtRandomByUpToAHalf() {
        for (int failures = 1; failures < 10; failures++) {
            Duration whole = BACKOFF.pause(failures, 0);

            assertThat(BACKOFF.pause(failures, 1)).isEqualTo(whole.dividedBy(2));
            assertThat(BACKOFF.pause(failures, 0.5)).isEqualTo(whole.multipliedBy(3).dividedBy(4));
        }
    }

    @Test
    void shortensAPauseOfOnesOwnTheSameWay() {
        assertThat(Backoff.jittered(Duration.ofMinutes(5), 0)).isEqualTo(Duration.ofMinutes(5));
        assertThat(Backoff.jittered(Duration.ofMinutes(5), 1)).isEqualTo(Duration.ofSeconds(150));
    }

    @Test
    void takesTheSamePauseAgainWithAGrowthOfOne() {
        Backoff steady = new Backoff(Duration.ofMillis(100), 1, Duration.ofSeconds(1));

        assertThat(steady.pause(1, 0)).isEqualTo(steady.pause(Integer.MAX_VALUE, 0)).isEqualTo(Duration.ofMillis(100));
    }

    @Test
    void refusesPausesThatMakeNoSense() {
        Duration second = Duration.ofSeconds(1);

        assertThatIllegalArgumentException().isThrownBy(() -> new Backoff(Duration.ZERO, 2, second));
        assertThatIllegalArgumentException().isThrownBy(() -> new Backoff(second.negated(), 2, second));
        assertThatIllegalArgumentException().isThrownBy(() -> new Backoff(second, 2, second.minusNanos(1)));
        assertThatIllegalArgumentException().isThrownBy(() -> new Backoff(second, 0, second));
    }
}
