package dev.podidentity.agent.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.jboss.logmanager.LogContext;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class VerbosityTest {

    @ParameterizedTest
    @CsvSource({
        "panic, PANIC, FATAL",
        "fatal, FATAL, FATAL",
        "error, ERROR, ERROR",
        "warn, WARN, WARN",
        "warning, WARN, WARN",
        "info, INFO, INFO",
        "debug, DEBUG, DEBUG",
        "trace, TRACE, TRACE",
        "TRACE, TRACE, TRACE",
        "Warning, WARN, WARN"
    })
    void readsTheNamesOfTheReference(String text, Verbosity verbosity, String logLevel) {
        assertThat(Verbosity.parse(text)).isEqualTo(verbosity);
        assertThat(new Verbosity.Reader().convert(text)).isEqualTo(verbosity);
        assertThat(verbosity.logLevel()).isEqualTo(logLevel);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", " info", "information", "7", "all", "off", "severe"})
    void rejectsWhatIsNoLevelAndNamesThose(String text) {
        assertThatThrownBy(() -> Verbosity.parse(text))
                .isExactlyInstanceOf(IllegalArgumentException.class)
                .hasMessage("must be one of panic, fatal, error, warn, info, debug, trace");
    }

    @ParameterizedTest
    @EnumSource
    void namesALevelThatTheLogManagerKnows(Verbosity verbosity) {
        assertThat(LogContext.getLogContext().getLevelForName(verbosity.logLevel())).isNotNull();
    }
}
