package dev.podidentity.agent.credentials;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class CallPaceTest {

    private static final long MILLI = 1_000_000;
    private static final long SECOND = 1000 * MILLI;
    /** A monotonic clock may start at any value and may overflow. */
    private static final long START = Long.MAX_VALUE - 2 * SECOND;

    private final CallPace pace = new CallPace(START);
    private long now = START;

    @Test
    void hasNoLimitUntilEksAuthThrottles() {
        assertThat(callsIn(SECOND)).isEqualTo(1000);
        assertThat(pace.slowed(now)).isFalse();
    }

    @Test
    void halvesTheRateThatWasThrottled() {
        // Given
        for (int i = 0; i < 50; i++) {
            now += 20 * MILLI;
            pace.called(now);
        }
        // When
        pace.throttled(now);
        // Then
        assertThat(callsIn(SECOND)).isBetween(25, 30);
    }

    @Test
    void takesTheThrottlingOfAllCallsThatWereUnderWayForOne() {
        // Given
        for (int i = 0; i < 64; i++) {
            pace.called(now);
        }
        // When
        for (int i = 0; i < 64; i++) {
            now += MILLI;
            pace.throttled(now);
        }
        // Then
        assertThat(callsIn(SECOND)).isBetween(32, 38);
    }

    @Test
    void makesAHandfulOfCallsASecondWhileEachIsThrottled() {
        // Given
        for (int i = 0; i < 100; i++) {
            pace.called(now);
        }
        pace.throttled(now);
        throttledCallsIn(12 * SECOND);
        // When
        int calls = throttledCallsIn(10 * SECOND);
        // Then
        assertThat(calls).isBetween(20, 70);
    }

    @Test
    void forgetsTheLimitOnceItHasGrownBeyondWhatANodeNeeds() {
        // Given
        pace.called(now);
        pace.throttled(now);
        boolean slowed = pace.slowed(now);
        // When
        now += 20 * SECOND;
        // Then
        assertThat(slowed).isTrue();
        assertThat(pace.slowed(now)).isFalse();
        assertThat(pace.untilNext(now)).isZero();
    }

    @Test
    void saysHowLongTheNextCallHasToWait() {
        // Given
        pace.called(now);
        pace.throttled(now);
        // When
        long wait = pace.untilNext(now);
        // Then
        assertThat(wait).isEqualTo(500 * MILLI);
        assertThat(pace.untilNext(now + wait - 1)).isPositive();
        assertThat(pace.untilNext(now + wait)).isLessThanOrEqualTo(0);
    }

    /** Counts the calls that are allowed when one is attempted every millisecond. */
    private int callsIn(long time) {
        int calls = 0;
        for (long until = now + time; now - until < 0; now += MILLI) {
            if (pace.untilNext(now) <= 0) {
                pace.called(now);
                calls++;
            }
        }
        return calls;
    }

    private int throttledCallsIn(long time) {
        int calls = 0;
        for (long until = now + time; now - until < 0; now += MILLI) {
            if (pace.untilNext(now) <= 0) {
                pace.called(now);
                pace.throttled(now);
                calls++;
            }
        }
        return calls;
    }
}
