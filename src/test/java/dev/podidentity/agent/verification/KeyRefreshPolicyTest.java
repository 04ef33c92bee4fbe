package dev.podidentity.agent.verification;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class KeyRefreshPolicyTest {

    private final KeyRefreshPolicy policy = new KeyRefreshPolicy();

    @ParameterizedTest
    @CsvSource({"0, 300", "0.5, 270", "1, 240"})
    void spreadsFetchesOverAFifthOfTheInterval(double random, long seconds) {
        assertThat(policy.afterSuccess(random)).isEqualTo(Duration.ofSeconds(seconds));
    }

    @ParameterizedTest
    @CsvSource({"1, 1000", "2, 2000", "3, 4000", "6, 32000", "7, 60000", "8, 60000", "1000, 60000", "2147483647, 60000"})
    void doublesThePauseAfterEachFailureUpToAMinute(int failures, long millis) {
        assertThat(policy.afterFailure(failures, 0)).isEqualTo(Duration.ofMillis(millis));
        assertThat(policy.afterFailure(failures, 1)).isEqualTo(Duration.ofMillis(millis / 2));
    }
}
