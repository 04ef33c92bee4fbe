package dev.podidentity.agent.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class LogFormatTest {

    @ParameterizedTest
    @CsvSource({"json, JSON", "JSON, JSON", "text, TEXT", "Text, TEXT"})
    void readsAFormatInAnyCase(String text, LogFormat format) {
        assertThat(LogFormat.parse(text)).isEqualTo(format);
        assertThat(new LogFormat.Reader().convert(text)).isEqualTo(format);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "xml", " json", "logfmt"})
    void rejectsWhatIsNoFormatAndNamesThose(String text) {
        assertThatThrownBy(() -> LogFormat.parse(text))
                .isExactlyInstanceOf(IllegalArgumentException.class)
                .hasMessage("must be json or text");
    }
}
