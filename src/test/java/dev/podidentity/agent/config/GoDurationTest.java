package dev.podidentity.agent.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class GoDurationTest {

    @ParameterizedTest
    @CsvSource({
        "0, PT0S",
        "+0, PT0S",
        "0s, PT0S",
        "0h0m, PT0S",
        "3h, PT3H",
        "+3h, PT3H",
        "1h30m, PT1H30M",
        "30m1h, PT1H30M",
        "1h1h, PT2H",
        "90s, PT1M30S",
        "900ms, PT0.9S",
        "100ms, PT0.1S",
        "250us, PT0.00025S",
        "250\u00b5s, PT0.00025S",
        "250\u03bcs, PT0.00025S",
        "7ns, PT0.000000007S",
        "1.5h, PT1H30M",
        "1.s, PT1S",
        ".5s, PT0.5S",
        "0.1ns, PT0S",
        "1.9ns, PT0.000000001S",
        "1h2m3s4ms5us6ns, PT1H2M3.004005006S",
        "007s, PT7S",
        "2562047h47m16.854775807s, PT2562047H47M16.854775807S",
        "9223372036854775807ns, PT2562047H47M16.854775807S"
    })
    void readsWhatGoReads(String text, Duration expected) {
        assertThat(GoDuration.parse(text)).isEqualTo(expected);
        assertThat(new GoDuration().convert(text)).isEqualTo(expected);
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "", " ", "+", "-", ".", "s", ".s", "5", "00", "0.0", "1h30", "3 hours", "3h ", " 3h", "3H", "1d", "1w", "1e3s",
        "1,5h", "1..5h", "1.5.5h", "++3h", "+-3h", "1h+30m", "PT3H", "0x10s", "3h\n", "\u0663h", "1m s", "NaNs",
        "9223372036854775808ns", "2562047h47m16.854775808s", "9999999999999999h"})
    void rejectsWhatGoRejects(String text) {
        assertRejected(text);
    }

    @ParameterizedTest
    @ValueSource(strings = {"-1s", "-0", "-1h30m", "1h-30m"})
    void rejectsNegativeDurations(String text) {
        assertRejected(text);
    }

    @Test
    void rejectsTextThatIsLongerThanAnyDuration() {
        assertRejected("0".repeat(100_000) + "1s");
    }

    private static void assertRejected(String text) {
        assertThatThrownBy(() -> GoDuration.parse(text))
                .isExactlyInstanceOf(IllegalArgumentException.class)
                .hasMessage("must be a duration of 0 or more, such as 3h, 1h30m, 90s or 0");
    }
}
