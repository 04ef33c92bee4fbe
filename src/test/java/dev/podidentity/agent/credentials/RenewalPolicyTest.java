package dev.podidentity.agent.credentials;

import static dev.podidentity.agent.testing.FakeTime.START;
import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class RenewalPolicyTest {

    private static final double MIDDLE = 0.5;

    private final RenewalPolicy policy = new RenewalPolicy(Duration.ofHours(3));

    @Test
    void renewsAtTheRetentionWhenThatComesFirst() {
        // Given
        Credentials sixHours = living(Duration.ofHours(6));
        // When
        Duration after = policy.renewAfter(sixHours, MIDDLE);
        // Then
        assertThat(after).isEqualTo(Duration.ofHours(3));
    }

    @Test
    void renewsAtTwoThirdsOfTheLifetimeWhenThatComesFirst() {
        // Given
        Credentials oneHour = living(Duration.ofHours(1));
        // When
        Duration after = policy.renewAfter(oneHour, MIDDLE);
        // Then
        assertThat(after).isEqualTo(Duration.ofMinutes(40));
    }

    @ParameterizedTest
    @CsvSource({"0, PT2H42M", "0.5, PT3H", "1, PT3H18M"})
    void spreadsRenewalsByATenthEitherWay(double random, Duration expected) {
        // Given
        Credentials sixHours = living(Duration.ofHours(6));
        // When
        Duration after = policy.renewAfter(sixHours, random);
        // Then
        assertThat(expected.minus(after).abs()).isLessThanOrEqualTo(Duration.ofMillis(1));
    }

    @ParameterizedTest
    @ValueSource(strings = {"PT1S", "PT1M", "PT15M", "PT1H", "PT4H30M", "PT6H", "PT12H"})
    void neverPlansARenewalAtOrAfterTheExpiry(Duration lifetime) {
        // Given
        Credentials credentials = living(lifetime);
        RenewalPolicy longest = new RenewalPolicy(Duration.ofDays(365));
        // When
        Duration latest = longest.renewAfter(credentials, 1);
        // Then
        assertThat(latest).isLessThan(lifetime);
    }

    @Test
    void retriesAfterPausesThatDoubleUpToFiveMinutes() {
        // Given
        Credentials sixHours = living(Duration.ofHours(6));
        // When
        long[] seconds = new long[10];
        for (int failures = 1; failures <= seconds.length; failures++) {
            seconds[failures - 1] = pause(sixHours, failures, START, 0).toSeconds();
        }
        // Then
        assertThat(seconds).containsExactly(5, 10, 20, 40, 80, 160, 300, 300, 300, 300);
    }

    @Test
    void retriesForEverWithTheLongestPause() {
        // Given
        Credentials sixHours = living(Duration.ofHours(6));
        // When
        Duration pause = pause(sixHours, Integer.MAX_VALUE, START, 0);
        // Then
        assertThat(pause).isEqualTo(Duration.ofMinutes(5));
    }

    @ParameterizedTest
    @CsvSource({"0, 20000", "0.5, 15000", "1, 10000"})
    void shortensARetrysPauseByUpToAHalf(double random, long millis) {
        // Given
        Credentials sixHours = living(Duration.ofHours(6));
        // When
        Duration pause = pause(sixHours, 3, START, random);
        // Then
        assertThat(pause).isEqualTo(Duration.ofMillis(millis));
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 9, 60, 300, 599})
    void neverRetriesLaterThanHalfWayToTheExpiry(long secondsLeft) {
        // Given
        Credentials sixHours = living(Duration.ofHours(6));
        Instant now = sixHours.expiration().minusSeconds(secondsLeft);
        // When
        Duration after = policy.retryAfter(sixHours, 20, now, 0);
        // Then
        assertThat(after).isEqualTo(Duration.ofSeconds(secondsLeft).dividedBy(2));
    }

    @Test
    void doesNotRenewWithATokenThatIsAboutToExpire() {
        // Given
        Instant expiresAt = START.plusSeconds(60);
        // When
        boolean atTheLimit = policy.tokenUsable(expiresAt, START);
        boolean beforeTheLimit = policy.tokenUsable(expiresAt.plusMillis(1), START);
        // Then
        assertThat(atTheLimit).isFalse();
        assertThat(beforeTheLimit).isTrue();
    }

    @Test
    void callsCredentialsFreshWhileTheyHaveFifteenMinutesLeft() {
        // Given
        Credentials credentials = living(Duration.ofHours(1));
        Instant limit = credentials.expiration().minus(Duration.ofMinutes(15));
        // When
        boolean atTheLimit = policy.fresh(credentials, limit);
        boolean afterTheLimit = policy.fresh(credentials, limit.plusNanos(1));
        // Then
        assertThat(atTheLimit).isTrue();
        assertThat(afterTheLimit).isFalse();
    }

    @Test
    void holdsShortLivedCredentialsForAThirdOfTheirLifetime() {
        // Given
        Credentials tenMinutes = living(Duration.ofMinutes(10));
        // When
        Duration held = policy.holdFor(tenMinutes);
        // Then
        assertThat(held).isEqualTo(Duration.ofSeconds(200));
    }

    @Test
    void takesTheLeastThatStsGivesForShortLived() {
        assertThat(policy.longLived(living(Duration.ofMinutes(15).plusMillis(50)))).isFalse();
        assertThat(policy.longLived(living(Duration.ofMinutes(16)))).isTrue();
    }

    private Duration pause(Credentials credentials, int failures, Instant now, double random) {
        return policy.retryAfter(credentials, failures, now, random);
    }

    private static Credentials living(Duration lifetime) {
        return new Credentials(EncodedAnswer.of("{}".getBytes(StandardCharsets.UTF_8)), START, 0, START.plus(lifetime), "role");
    }
}
