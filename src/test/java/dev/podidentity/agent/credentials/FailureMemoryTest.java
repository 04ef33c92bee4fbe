package dev.podidentity.agent.credentials;

import static dev.podidentity.agent.credentials.FakeEksAuth.DENIED;
import static dev.podidentity.agent.credentials.FakeEksAuth.THROTTLED;
import static dev.podidentity.agent.credentials.FakeEksAuth.UNAVAILABLE;
import static dev.podidentity.agent.credentials.TokenBuilder.token;
import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.eksauth.PermanentFailure;
import dev.podidentity.agent.eksauth.TransientFailure;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class FailureMemoryTest {

    private static final double NO_JITTER = 0;

    /** A monotonic clock may start at any value. */
    private static final long START = Long.MAX_VALUE - 1;

    private final FailureMemory memory = new FailureMemory(new RetryPolicy(Duration.ofSeconds(15)));
    private final Identity a = Identity.of(token("a"));
    private final Identity b = Identity.of(token("b"));

    // Permanent failures

    @Test
    void answersARefusalForAQuarterOfASecond() {
        // Given
        refused(a, DENIED, 0);
        // When
        var before = memory.refusal(a, at(249));
        var after = memory.refusal(a, at(250));
        // Then
        assertThat(before).containsSame(DENIED);
        assertThat(after).isEmpty();
    }

    @Test
    void answersItForLongerEachTimeUpToFiveSeconds() {
        // Given
        long millis = 0;
        List<Long> lasted = new ArrayList<>();
        // When
        for (int i = 0; i < 8; i++) {
            refused(a, DENIED, millis);
            long since = millis;
            while (memory.refusal(a, at(millis)).isPresent()) {
                millis++;
            }
            lasted.add(millis - since);
        }
        // Then
        assertThat(lasted).containsExactly(250L, 500L, 1000L, 2000L, 4000L, 5000L, 5000L, 5000L);
    }

    @Test
    void startsAnewAfterASuccess() {
        // Given
        refused(a, DENIED, 0);
        refused(a, DENIED, 250);
        memory.forget(a);
        boolean forgotten = memory.refusal(a, at(250)).isEmpty();
        // When
        refused(a, DENIED, 300);
        // Then
        assertThat(forgotten).isTrue();
        assertThat(memory.refusal(a, at(549))).isPresent();
        assertThat(memory.refusal(a, at(550))).isEmpty();
    }

    @Test
    void startsAnewWhenNobodyAskedForAMinute() {
        // Given
        refused(a, DENIED, 0);
        long aMinuteLater = 60_250;
        // When
        refused(a, DENIED, aMinuteLater);
        // Then
        assertThat(memory.refusal(a, at(aMinuteLater + 249))).isPresent();
        assertThat(memory.refusal(a, at(aMinuteLater + 250))).isEmpty();
    }

    // Transient failures

    @Test
    void tellsHowMuchOfThePauseIsLeft() {
        // Given
        FailureMemory.Remark remark = failed(a, UNAVAILABLE, 0);
        // When
        var during = memory.trouble(a, at(100));
        var after = memory.trouble(a, at(400));
        // Then
        assertThat(remark.pause()).isEqualTo(Duration.ofMillis(250));
        assertThat(during).contains(new FailureMemory.Trouble(UNAVAILABLE, Duration.ofMillis(150)));
        assertThat(after).contains(new FailureMemory.Trouble(UNAVAILABLE, Duration.ZERO));
    }

    @Test
    void pausesLongerWhenTheTroubleLasts() {
        // Given
        for (long millis = 0; millis < 64_000; millis += 1000) {
            failed(a, UNAVAILABLE, millis);
        }
        // When
        FailureMemory.Remark remark = failed(a, UNAVAILABLE, 64_000);
        // Then
        assertThat(remark.pause()).isEqualTo(Duration.ofSeconds(2));
    }

    @Test
    void pausesForNobodyDuringAnOutage() {
        // Given
        boolean outage = true;
        // When
        FailureMemory.Remark remark = memory.failed(a, UNAVAILABLE, START, outage, NO_JITTER);
        // Then
        assertThat(remark.pause()).isZero();
        assertThat(memory.trouble(a, START)).contains(new FailureMemory.Trouble(UNAVAILABLE, Duration.ZERO));
    }

    @Test
    void forgetsTroubleThatNobodyHasMetForAMinute() {
        // Given
        failed(a, UNAVAILABLE, 0);
        // When
        var before = memory.trouble(a, at(60_249));
        var after = memory.trouble(a, at(60_250));
        // Then
        assertThat(before).isPresent();
        assertThat(after).isEmpty();
    }

    @Test
    void knowsOfNoTroubleAfterASuccess() {
        // Given
        failed(a, UNAVAILABLE, 0);
        // When
        memory.forget(a);
        // Then
        assertThat(memory.trouble(a, START)).isEmpty();
    }

    @Test
    void keepsRefusalsAndTroubleApart() {
        // Given
        refused(a, DENIED, 0);
        failed(b, UNAVAILABLE, 0);
        // When
        var troubleOfTheRefused = memory.trouble(a, START);
        var refusalOfTheTroubled = memory.refusal(b, START);
        // Then
        assertThat(troubleOfTheRefused).isEmpty();
        assertThat(refusalOfTheTroubled).isEmpty();
    }

    @Test
    void remembersWhatCameLast() {
        // Given
        failed(a, UNAVAILABLE, 0);
        // When
        refused(a, DENIED, 10);
        // Then
        assertThat(memory.refusal(a, at(20))).containsSame(DENIED);
        assertThat(memory.trouble(a, at(20))).isEmpty();
    }

    @Test
    void keepsIdentitiesApart() {
        // Given
        refused(a, DENIED, 0);
        // When
        var other = memory.refusal(b, START);
        memory.forget(b);
        // Then
        assertThat(other).isEmpty();
        assertThat(memory.refusal(a, START)).containsSame(DENIED);
    }

    // Which failures are logged

    @Test
    void findsTroubleWorthALineThatLastsAndLessOftenTheLongerItLasts() {
        // Given
        List<Long> lines = new ArrayList<>();
        // When
        for (long millis = 0; millis < 40_000; millis += 500) {
            if (failed(a, UNAVAILABLE, millis).worthALine()) {
                lines.add(millis);
            }
        }
        // Then
        assertThat(lines).containsExactly(2000L, 4000L, 8000L, 16_000L, 32_000L);
    }

    @Test
    void findsTheEndInTroubleWorthALineUnlessThereWasOne() {
        // Given
        failed(a, UNAVAILABLE, 0);
        refused(b, DENIED, 0);
        // When
        boolean first = memory.endWorthALine(a, at(100));
        boolean second = memory.endWorthALine(a, at(2000));
        boolean third = memory.endWorthALine(a, at(2100));
        // Then
        assertThat(first).isTrue();
        assertThat(second).isFalse();
        assertThat(third).isTrue();
        assertThat(memory.endWorthALine(b, at(0))).isFalse();
        assertThat(memory.endWorthALine(Identity.of(token("c")), at(0))).isFalse();
    }

    @Test
    void findsAnotherErrorWorthALine() {
        // Given
        refused(a, DENIED, 0);
        failed(b, UNAVAILABLE, 0);
        failed(b, UNAVAILABLE, 3000);
        // When
        var sameRefusal = refused(a, DENIED, 250);
        var otherTrouble = failed(b, THROTTLED, 3500);
        // Then
        assertThat(sameRefusal).isFalse();
        assertThat(otherTrouble.worthALine()).isTrue();
    }

    @Test
    void isBoundedAndForgetsTheOldestFirst() {
        // Given
        refused(a, DENIED, 0);
        refused(b, DENIED, 0);
        refused(a, DENIED, 0);
        // When
        for (int i = 0; i < FailureMemory.CAPACITY - 1; i++) {
            refused(Identity.of(token("other-" + i)), DENIED, 0);
        }
        // Then
        assertThat(memory.refusal(b, START)).isEmpty();
        assertThat(memory.refusal(a, START)).containsSame(DENIED);
    }

    private boolean refused(Identity identity, PermanentFailure refusal, long millis) {
        return memory.refused(identity, refusal, at(millis), NO_JITTER);
    }

    private FailureMemory.Remark failed(Identity identity, TransientFailure failure, long millis) {
        return memory.failed(identity, failure, at(millis), false, NO_JITTER);
    }

    private static long at(long millis) {
        return START + Duration.ofMillis(millis).toNanos();
    }
}
