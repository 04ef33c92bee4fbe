package dev.podidentity.agent.observe;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.testing.FakeTime;
import java.time.Duration;
import org.junit.jupiter.api.Test;

class HealthTest {

    private static final Duration GRACE = Duration.ofMinutes(1);

    private final FakeTime time = new FakeTime();
    private boolean listening = true;
    private boolean credentials = true;
    private final Health health = new Health(() -> listening, () -> credentials, GRACE, time.nanos());

    @Test
    void isReadyWithListenersAndCredentials() {
        assertThat(health.unready()).isEmpty();
    }

    @Test
    void isNotReadyWithoutListenersEvenInTheGraceAfterStart() {
        listening = false;

        assertThat(health.unready()).containsExactly("a credentials listener is not bound");
    }

    @Test
    void needsNoCredentialsInTheGraceAfterStart() {
        credentials = false;
        time.advance(GRACE.minusNanos(1));

        assertThat(health.unready()).isEmpty();
    }

    @Test
    void needsCredentialsOnceTheGraceIsOver() {
        credentials = false;
        time.advance(GRACE);

        assertThat(health.unready()).containsExactly("no AWS credentials or region of its own");
    }

    @Test
    void isReadyAgainOnceCredentialsAreFound() {
        // Given
        credentials = false;
        time.advance(GRACE);
        assertThat(health.unready()).isNotEmpty();

        // When
        credentials = true;

        // Then
        assertThat(health.unready()).isEmpty();
    }

    @Test
    void needsCredentialsAtOnceWithoutGrace() {
        credentials = false;

        assertThat(new Health(() -> true, () -> credentials, Duration.ZERO, time.nanos()).unready()).hasSize(1);
    }

    @Test
    void isNeverReadyAgainOnceItStops() {
        health.stopping();

        assertThat(health.unready()).containsExactly("stopping");
    }

    @Test
    void namesEverythingThatIsMissing() {
        health.stopping();
        listening = false;
        credentials = false;
        time.advance(GRACE);

        assertThat(health.unready()).hasSize(3);
    }
}
