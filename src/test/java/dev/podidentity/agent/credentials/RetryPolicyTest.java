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

    @ParameterizedTest
    @CsvSource({"0, 250", "5000, 250", "8000, 250", "16000, 500", "64000, 2000", "128000, 4000", "3600000, 4000"})
    void pausesShortlyWhileSdksTryAndLongerWhenTheTroubleLasts(long troubledMillis, long pauseMillis) {
        // Given
        Duration troubled = Duration.ofMillis(troubledMillis);
        // When
        Duration pause = policy.pause(troubled, 0);
        // Then
        assertThat(pause).isEqualTo(Duration.ofMillis(pauseMillis));
    }

    @ParameterizedTest
    @CsvSource({"0, 2000", "0.5, 1500", "1, 1000"})
    void shortensAPauseByUpToAHalf(double random, long millis) {
        // Given
        Duration troubled = Duration.ofSeconds(64);
        // When
        Duration pause = policy.pause(troubled, random);
        // Then
        assertThat(pause).isEqualTo(Duration.ofMillis(millis));
    }

    @Test
    void neverPausesForAsLongAsJavasSdkTries() {
        // Given
        Duration sixRequests = ServiceFixture.DEADLINE.multipliedBy(6);
        // When
        Duration longest = policy.pause(Duration.ofDays(1), 0);
        // Then
        assertThat(longest).isLessThan(sixRequests);
    }

    @ParameterizedTest
    @CsvSource({"0, true", "1000, true", "2999, true", "3000, false"})
    void goesOnForThoseWhoMayComeBack(long desertedMillis, boolean goesOn) {
        assertThat(policy.goesOnForNobody(Duration.ofMillis(desertedMillis))).isEqualTo(goesOn);
    }

    @ParameterizedTest
    @CsvSource({"1, true", "4, true", "5, false"})
    void triesTheTokensOfFivePods(int refused, boolean another) {
        assertThat(policy.mayUseAnotherToken(refused)).isEqualTo(another);
    }

    @Test
    void remembersRefusalsFromAQuarterOfASecondToFiveSeconds() {
        // Given
        double noJitter = 0;
        // When
        long[] millis = IntStream.rangeClosed(1, 9)
                .mapToLong(step -> policy.memoryOf(FakeEksAuth.DENIED, step, noJitter).toMillis())
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
        Duration memory = policy.memoryOf(FakeEksAuth.DENIED, step, random);
        // Then
        assertThat(memory).isEqualTo(Duration.ofMillis(millis));
    }

    @Test
    void remembersThatThereIsNoAssociationForHalfASecondAtMost() {
        // Given
        PermanentFailure none = new PermanentFailure(PermanentFailure.Reason.NO_ASSOCIATION, "Create one");
        // When
        long[] millis = IntStream.rangeClosed(1, 6).mapToLong(step -> policy.memoryOf(none, step, 0).toMillis()).toArray();
        // Then
        assertThat(millis).containsExactly(250, 500, 500, 500, 500, 500);
    }
}
