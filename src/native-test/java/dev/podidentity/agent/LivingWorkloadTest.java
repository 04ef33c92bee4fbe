package dev.podidentity.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.podidentity.agent.LivingWorkload.Reply;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class LivingWorkloadTest {

    private static final String GOOD = "{\"ok\":true,\"millis\":12,\"accessKeyId\":\"ASIAEXAMPLE\"}";

    @TempDir
    private Path directory;

    @Test
    void readsWhatAProgramAnswers() {
        assertThat(Reply.parse("""
                {"ok": true, "millis": 12, "accessKeyId": "ASIAEXAMPLE", "expiration": "2026-01-01T06:00:00Z"}"""))
                .isEqualTo(new Reply(true, 12, "ASIAEXAMPLE", "2026-01-01T06:00:00Z", null));
        assertThat(Reply.parse("""
                {"ok":false,"millis":3026,"error":"first\\nsecond \\"quoted\\""}"""))
                .isEqualTo(new Reply(false, 3026, null, null, "first\nsecond \"quoted\""));
    }

    @ParameterizedTest
    @ValueSource(strings = {"{\"ok\":false,\"millis\":1}", "{\"ok\":true,\"millis\":1,\"error\":\"x\"}", "not JSON"})
    void takesNothingElseForAnAnswer(String line) {
        assertThatThrownBy(() -> Reply.parse(line)).isInstanceOf(RuntimeException.class);
    }

    @Test
    void asksAProgramAndReadsAnAnswerPerProviderOfABurst() {
        // Given
        try (LivingWorkload living = start("read fresh; echo '" + GOOD + "'; read burst; echo '" + GOOD + "'; echo '" + GOOD + "'")) {
            // When
            Reply one = living.ask("fresh");
            List<Reply> two = living.burst(2);

            // Then
            assertThat(one.accessKeyId()).isEqualTo("ASIAEXAMPLE");
            assertThat(two).containsExactly(one, one);
        }
    }

    @Test
    void saysWhatAProgramWroteThatEndedWithoutAnAnswer() {
        // Given
        try (LivingWorkload living = start("read fresh; echo cannot find the SDK >&2")) {
            // When and then
            assertThatThrownBy(() -> living.ask("fresh"))
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("cannot find the SDK");
        }
    }

    @Test
    void waitsForAnAnswerNoLongerThanItIsTold() {
        // Given
        try (LivingWorkload living = start("read fresh; read never")) {
            // When and then
            assertThat(living.ask("fresh", Duration.ofMillis(50))).isEmpty();
        }
    }

    private LivingWorkload start(String script) {
        return LivingWorkload.start(List.of("sh", "-c", script), Map.of(), directory.resolve("errors"));
    }
}
