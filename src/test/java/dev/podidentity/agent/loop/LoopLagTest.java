package dev.podidentity.agent.loop;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.testing.FakeTime;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class LoopLagTest {

    private final FakeTime time = new FakeTime();
    /** The delay of the loop, in addition to the delay of its timers. */
    private Duration late = Duration.ZERO;
    private final List<Duration> lags = new ArrayList<>();
    private final LoopLag lag = new LoopLag(
            time,
            () -> time.nanos().getAsLong() + late.toNanos(),
            nanos -> lags.add(Duration.ofNanos(nanos)));

    @Test
    void measuresNothingOfALoopThatIsInTime() {
        lag.start();

        time.advance(LoopLag.INTERVAL.multipliedBy(3));

        assertThat(lags).containsExactly(Duration.ZERO, Duration.ZERO, Duration.ZERO);
    }

    @Test
    void measuresHowLateWhatIsDueIsDone() {
        // Given
        lag.start();

        // When
        late = Duration.ofMillis(1_200);
        time.advance(LoopLag.INTERVAL);

        // Then
        assertThat(lags).containsExactly(Duration.ofMillis(1_200));
    }

    @Test
    void countsADelayOnce() {
        lag.start();
        late = Duration.ofMillis(1_200);

        time.advance(LoopLag.INTERVAL.multipliedBy(2));

        assertThat(lags).containsExactly(Duration.ofMillis(1_200), Duration.ZERO);
    }

    @Test
    void takesATimerThatIsEarlyForInTime() {
        lag.start();
        late = Duration.ofNanos(-1);

        time.advance(LoopLag.INTERVAL);

        assertThat(lags).containsExactly(Duration.ZERO);
    }
}
