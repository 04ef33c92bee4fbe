package dev.podidentity.agent.credentials;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.eksauth.PermanentFailure;
import java.time.Duration;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class RetryPolicyTest {

    private final RetryPolicy policy = new RetryPolicy(Duration.ofSeconds(15));

    @Test
    void pausesTriplesUpToTwoSeconds() {
        // Given
        Duration elapsed = Duration.ZERO;
        // When
        long[] millis = IntStream.rangeClosed(1, 4)
                .mapToLong(attempts -> policy.pauseAfter(attempts, elapsed, 0).orElseThrow().toMillis())
                .toArray();
        // Then
        assertThat(millis).containsExactly(100, 300, 900, 2000);
    }

    @Test
    void makesFiveAttemptsAtMost() {
        // Given
        Duration elapsed = Duration.ZERO;
        // When
        var afterFive = policy.pauseAfter(5, elapsed, 0);
        var afterMore = policy.pauseAfter(6, elapsed, 0);
        // Then
        assertThat(afterFive).isEmpty();
        assertThat(afterMore).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({"0, 900", "0.5, 675", "1, 450"})
    void shortensAPauseByUpToAHalf(double random, long millis) {
        // Given
        int attempts = 3;
        // When
        var pause = policy.pauseAfter(attempts, Duration.ZERO, random);
        // Then
        assertThat(pause).contains(Duration.ofMillis(millis));
    }

    @Test
    void makesNoAttemptThatWouldBeginAtTheEndOfTheFlight() {
        // Given
        Duration tooLate = Duration.ofMillis(14_900);
        // When
        var atTheEnd = policy.pauseAfter(1, tooLate, 0);
        var justBefore = policy.pauseAfter(1, tooLate.minusMillis(1), 0);
        // Then
        assertThat(atTheEnd).isEmpty();
        assertThat(justBefore).contains(Duration.ofMillis(100));
    }

    @Test
    void remembersFailuresFromAQuarterOfASecondToFiveSeconds() {
        // Given
        double noJitter = 0;
        // When
        long[] millis = IntStream.rangeClosed(1, 9)
                .mapToLong(step -> policy.memoryOf(FakeEksAuth.UNAVAILABLE, step, noJitter).toMillis())
                .toArray();
        // Then
        assertThat(millis).containsExactly(250, 500, 1000, 2000, 4000, 5000, 5000, 5000, 5000);
    }

    @ParameterizedTest
    @CsvSource({"0, 1000", "0.5, 750", "1, 500"})
    void shortensTheMemoryByUpToAHalf(double random, long millis) {
        // Given
        int step = 3;
        // When
        Duration memory = policy.memoryOf(FakeEksAuth.UNAVAILABLE, step, random);
        // Then
        assertThat(memory).isEqualTo(Duration.ofMillis(millis));
    }

    @Test
    void remembersThatThereIsNoAssociationForASecondAtMost() {
        // Given
        PermanentFailure none = new PermanentFailure(PermanentFailure.Reason.NO_ASSOCIATION, "Create one");
        // When
        long[] millis = IntStream.rangeClosed(1, 6).mapToLong(step -> policy.memoryOf(none, step, 0).toMillis()).toArray();
        // Then
        assertThat(millis).containsExactly(250, 500, 1000, 1000, 1000, 1000);
    }

    @Test
    void namesTheStepFromWhichOnTheMemoryDoesNotGrow() {
        // Given
        int last = policy.lastStep();
        // When
        Duration there = policy.memoryOf(FakeEksAuth.UNAVAILABLE, last, 0);
        // Then
        assertThat(there).isEqualTo(policy.memoryOf(FakeEksAuth.UNAVAILABLE, last + 1, 0)).isGreaterThan(policy.memoryOf(FakeEksAuth.UNAVAILABLE, last - 1, 0));
    }
}
