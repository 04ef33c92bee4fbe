package dev.podidentity.agent.credentials;

import static dev.podidentity.agent.credentials.FakeEksAuth.DENIED;
import static dev.podidentity.agent.credentials.FakeEksAuth.THROTTLED;
import static dev.podidentity.agent.credentials.FakeEksAuth.UNAVAILABLE;
import static dev.podidentity.agent.credentials.TokenBuilder.token;
import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class FailureMemoryTest {

    private static final double NO_JITTER = 0;

    /** Of the monotonic clock, which begins anywhere. */
    private static final long START = Long.MAX_VALUE - 1;

    private final FailureMemory memory = new FailureMemory(new RetryPolicy(Duration.ofSeconds(15)));
    private final Identity a = Identity.of(token("a"));
    private final Identity b = Identity.of(token("b"));

    @Test
    void remembersAFailureForAQuarterOfASecond() {
        // Given
        memory.remember(a, DENIED, START, NO_JITTER);
        // When
        var before = memory.current(a, START + millis(249));
        var after = memory.current(a, START + millis(250));
        // Then
        assertThat(before).isSameAs(DENIED);
        assertThat(after).isNull();
    }

    @Test
    void remembersLongerEachTimeUpToFiveSeconds() {
        // Given
        long now = START;
        List<Long> millis = new ArrayList<>();
        // When
        for (int i = 0; i < 8; i++) {
            memory.remember(a, UNAVAILABLE, now, NO_JITTER);
            long since = now;
            while (memory.current(a, now) != null) {
                now += millis(1);
            }
            millis.add(Duration.ofNanos(now - since).toMillis());
        }
        // Then
        assertThat(millis).containsExactly(250L, 500L, 1000L, 2000L, 4000L, 5000L, 5000L, 5000L);
    }

    @Test
    void startsAnewAfterASuccess() {
        // Given
        memory.remember(a, UNAVAILABLE, START, NO_JITTER);
        memory.remember(a, UNAVAILABLE, START + millis(250), NO_JITTER);
        memory.forget(a);
        boolean forgotten = memory.current(a, START + millis(250)) == null;
        // When
        memory.remember(a, UNAVAILABLE, START + millis(300), NO_JITTER);
        // Then
        assertThat(forgotten).isTrue();
        assertThat(memory.current(a, START + millis(549))).isNotNull();
        assertThat(memory.current(a, START + millis(550))).isNull();
    }

    @Test
    void startsAnewWhenNobodyAskedForAMinute() {
        // Given
        memory.remember(a, UNAVAILABLE, START, NO_JITTER);
        long aMinuteLater = START + millis(60_250);
        // When
        memory.remember(a, UNAVAILABLE, aMinuteLater, NO_JITTER);
        // Then
        assertThat(memory.current(a, aMinuteLater + millis(249))).isNotNull();
        assertThat(memory.current(a, aMinuteLater + millis(250))).isNull();
    }

    @Test
    void answersTheLatestFailure() {
        // Given
        memory.remember(a, UNAVAILABLE, START, NO_JITTER);
        // When
        memory.remember(a, DENIED, START + millis(10), NO_JITTER);
        // Then
        assertThat(memory.current(a, START + millis(20))).isSameAs(DENIED);
    }

    @Test
    void keepsIdentitiesApart() {
        // Given
        memory.remember(a, DENIED, START, NO_JITTER);
        // When
        var other = memory.current(b, START);
        memory.forget(b);
        // Then
        assertThat(other).isNull();
        assertThat(memory.current(a, START)).isSameAs(DENIED);
    }

    @Test
    void saysWhichFailuresAreWorthALine() {
        // Given
        List<Boolean> worth = new ArrayList<>();
        long now = START;
        // When
        for (int i = 0; i < 8; i++) {
            worth.add(memory.remember(a, UNAVAILABLE, now, NO_JITTER));
            now += millis(6000);
        }
        boolean sameCode = memory.remember(a, UNAVAILABLE, now, NO_JITTER);
        boolean otherCode = memory.remember(a, THROTTLED, now, NO_JITTER);
        // Then
        assertThat(worth).containsExactly(true, true, true, true, true, true, false, false);
        assertThat(sameCode).isFalse();
        assertThat(otherCode).isTrue();
    }

    @Test
    void isBoundedAndForgetsTheOldestFirst() {
        // Given
        memory.remember(a, DENIED, START, NO_JITTER);
        memory.remember(b, DENIED, START, NO_JITTER);
        memory.remember(a, DENIED, START, NO_JITTER);
        // When
        for (int i = 0; i < FailureMemory.CAPACITY - 1; i++) {
            memory.remember(Identity.of(token("other-" + i)), DENIED, START, NO_JITTER);
        }
        // Then
        assertThat(memory.current(b, START)).isNull();
        assertThat(memory.current(a, START)).isSameAs(DENIED);
    }

    private static long millis(long millis) {
        return Duration.ofMillis(millis).toNanos();
    }
}
