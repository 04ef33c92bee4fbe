package dev.podidentity.agent.observe;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZoneOffset;
import org.junit.jupiter.api.Test;

class HealthTest {

    private static final Instant START = Instant.parse("2026-03-01T12:00:00Z");
    private static final Duration GRACE = Duration.ofMinutes(1);

    private final SettableClock clock = new SettableClock();
    private boolean listening = true;
    private boolean credentials = true;
    private final Health health = new Health(() -> listening, () -> credentials, GRACE, clock);

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
        clock.now = START.plus(GRACE).minusNanos(1);

        assertThat(health.unready()).isEmpty();
    }

    @Test
    void needsCredentialsOnceTheGraceIsOver() {
        credentials = false;
        clock.now = START.plus(GRACE);

        assertThat(health.unready()).containsExactly("no AWS credentials or region of its own");
    }

    @Test
    void isReadyAgainOnceCredentialsAreFound() {
        // Given
        credentials = false;
        clock.now = START.plus(GRACE);
        assertThat(health.unready()).isNotEmpty();

        // When
        credentials = true;

        // Then
        assertThat(health.unready()).isEmpty();
    }

    @Test
    void needsCredentialsAtOnceWithoutGrace() {
        credentials = false;

        assertThat(new Health(() -> true, () -> credentials, Duration.ZERO, clock).unready()).hasSize(1);
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
        clock.now = START.plus(GRACE);

        assertThat(health.unready()).hasSize(3);
    }

    private static final class SettableClock extends Clock {

        private Instant now = START;

        @Override
        public Instant instant() {
            return now;
        }

        @Override
        public ZoneId getZone() {
            return ZoneOffset.UTC;
        }

        @Override
        public Clock withZone(ZoneId zone) {
            return this;
        }
    }
}
