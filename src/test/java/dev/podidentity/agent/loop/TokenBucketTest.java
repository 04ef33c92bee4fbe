package dev.podidentity.agent.loop;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class TokenBucketTest {

    private static final long SECOND = 1_000_000_000;
    /** A monotonic clock can start at any value, even a negative one. */
    private static final long START = -5 * SECOND;

    @Test
    void givesTheBurstAtOnceAndNoMore() {
        TokenBucket bucket = new TokenBucket(10, 3, START);

        assertThat(taken(bucket, 10, START)).isEqualTo(3);
    }

    @Test
    void refillsSteadily() {
        // Given
        TokenBucket bucket = new TokenBucket(10, 3, START);
        taken(bucket, 3, START);

        // Then
        assertThat(bucket.tryTake(START + SECOND / 10 - 1)).isFalse();
        assertThat(bucket.tryTake(START + SECOND / 10)).isTrue();
        assertThat(bucket.tryTake(START + SECOND / 10)).isFalse();
    }

    @Test
    void refillsNoFurtherThanTheBurst() {
        TokenBucket bucket = new TokenBucket(10, 3, START);
        taken(bucket, 3, START);

        assertThat(taken(bucket, 100, START + 3600 * SECOND)).isEqualTo(3);
    }

    @Test
    void losesNothingToFrequentAttempts() {
        // Given
        TokenBucket bucket = new TokenBucket(2, 1, START);
        taken(bucket, 1, START);

        // When: 1,000 attempts in a second, each after a small refill
        int taken = 0;
        for (int i = 1; i <= 1000; i++) {
            taken += bucket.tryTake(START + i * SECOND / 1000) ? 1 : 0;
        }

        // Then
        assertThat(taken).isBetween(1, 2);
    }

    @Test
    void givesNothingBackAtARateOfZero() {
        TokenBucket bucket = new TokenBucket(0, 1, START);

        assertThat(bucket.tryTake(START)).isTrue();
        assertThat(bucket.tryTake(START + 3600 * SECOND)).isFalse();
    }

    @Test
    void givesNothingWithoutBurst() {
        assertThat(new TokenBucket(10, 0, START).tryTake(START + SECOND)).isFalse();
    }

    @Test
    void isEmptyOnceAllAreTakenAndUntilOneIsBack() {
        // Given
        TokenBucket bucket = new TokenBucket(1, 1, START);
        assertThat(bucket.empty(START)).isFalse();

        // When
        bucket.tryTake(START);

        // Then
        assertThat(bucket.empty(START)).isTrue();
        assertThat(bucket.empty(START + SECOND - 1)).isTrue();
        assertThat(bucket.empty(START + SECOND)).isFalse();
    }

    private static int taken(TokenBucket bucket, int attempts, long now) {
        int taken = 0;
        for (int i = 0; i < attempts; i++) {
            taken += bucket.tryTake(now) ? 1 : 0;
        }
        return taken;
    }

    @Test
    void saysHowManyPermitsAreLeft() {
        // Given
        TokenBucket bucket = new TokenBucket(1, 3, START);

        // When
        taken(bucket, 2, START);

        // Then
        assertThat(bucket.left(START)).isEqualTo(1);
        assertThat(bucket.left(START + SECOND - 1)).isEqualTo(1);
        assertThat(bucket.left(START + SECOND)).isEqualTo(2);
        assertThat(bucket.left(START + 10 * SECOND)).isEqualTo(3);
    }
}
