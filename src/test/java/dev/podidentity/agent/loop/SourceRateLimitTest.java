package dev.podidentity.agent.loop;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class SourceRateLimitTest {

    private static final long SECOND = 1_000_000_000;
    private static final long START = -7 * SECOND;
    /** More source addresses than the limiter remembers. */
    private static final int MANY = 5000;

    @Test
    void allowsABurstAndThenTheRate() {
        SourceRateLimit limit = new SourceRateLimit(2, 5);

        assertThat(allowed(limit, "10.0.0.1", 20, START)).isEqualTo(5);
        assertThat(allowed(limit, "10.0.0.1", 20, START + SECOND)).isEqualTo(2);
    }

    @Test
    void limitsEachSourceAlone() {
        // Given
        SourceRateLimit limit = new SourceRateLimit(2, 5);

        // When
        allowed(limit, "10.0.0.1", 1000, START);

        // Then
        assertThat(allowed(limit, "10.0.0.2", 20, START)).isEqualTo(5);
        assertThat(limit.allows("10.0.0.1", START)).isFalse();
    }

    @Test
    void allowsEverythingAtARateOfZero() {
        assertThat(allowed(new SourceRateLimit(0, 1), "10.0.0.1", 1000, START)).isEqualTo(1000);
    }

    @Test
    void forgetsTheSourcesThatAskedLongestAgo() {
        // Given
        SourceRateLimit limit = new SourceRateLimit(1, 1);
        assertThat(limit.allows("10.0.0.1", START)).isTrue();

        // When
        IntStream.range(0, MANY).forEach(i -> limit.allows("source-" + i, START));

        // Then
        assertThat(limit.allows("10.0.0.1", START)).isTrue();
    }

    @Test
    void remembersASourceThatKeepsAskingWhileManyOthersComeAndGo() {
        // Given
        SourceRateLimit limit = new SourceRateLimit(1, 1);
        limit.allows("10.0.0.1", START);

        // Then
        for (int i = 0; i < MANY; i++) {
            limit.allows("source-" + i, START);
            assertThat(limit.allows("10.0.0.1", START)).isFalse();
        }
    }

    private static long allowed(SourceRateLimit limit, String source, int requests, long now) {
        return IntStream.range(0, requests).filter(i -> limit.allows(source, now)).count();
    }

    @Test
    void saysHowManyRequestsASourceHasLeft() {
        // Given
        SourceRateLimit limit = new SourceRateLimit(1, 3);

        // When
        limit.allows("10.0.0.1", START);

        // Then
        assertThat(limit.left("10.0.0.1", START)).hasValue(2);
        assertThat(limit.left("10.0.0.2", START)).hasValue(3);
        assertThat(new SourceRateLimit(0, 3).left("10.0.0.1", START)).isEmpty();
    }
}
