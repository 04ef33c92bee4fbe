package dev.podidentity.agent.loop;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import org.junit.jupiter.api.Test;

class RecentKeysTest {

    private static final long WINDOW = 1_000;

    private final RecentKeys<String> keys = new RecentKeys<>(Duration.ofNanos(WINDOW), 3);

    @Test
    void holdsAKeyForItsTime() {
        keys.add("a", -10);

        assertThat(keys.contains("a", -10)).isTrue();
        assertThat(keys.contains("a", WINDOW - 11)).isTrue();
        assertThat(keys.contains("a", WINDOW - 10)).isFalse();
        assertThat(keys.contains("b", -10)).isFalse();
    }

    @Test
    void holdsAKeyThatIsAddedAgainFromThen() {
        keys.add("a", 0);
        keys.add("b", 1);
        keys.add("a", 500);
        keys.add("c", 501);
        keys.add("d", 502);

        assertThat(keys.contains("b", 502)).as("the key that was the oldest by then").isFalse();
        assertThat(keys.contains("a", WINDOW + 499)).isTrue();
    }

    @Test
    void forgetsTheOldestWhenItIsFull() {
        keys.add("a", 0);
        keys.add("b", 0);
        keys.add("c", 0);
        keys.add("d", 0);

        assertThat(keys.contains("a", 0)).isFalse();
        assertThat(keys.contains("b", 0)).isTrue();
        assertThat(keys.contains("d", 0)).isTrue();
    }

    @Test
    void forgetsWhatIsRemoved() {
        keys.add("a", 0);

        keys.remove("a");

        assertThat(keys.contains("a", 0)).isFalse();
    }
}
