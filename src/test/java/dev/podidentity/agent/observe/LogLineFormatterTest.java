package dev.podidentity.agent.observe;

import static org.assertj.core.api.Assertions.assertThat;

import io.vertx.core.json.JsonObject;
import java.net.URI;
import java.time.Instant;
import java.util.List;
import java.util.Locale;
import java.util.logging.Level;
import org.jboss.logmanager.ExtLogRecord;
import org.jboss.logmanager.LogContext;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class LogLineFormatterTest {

    private static final String TIME = "2026-03-01T12:00:00.123Z";

    private final LogLineFormatter json = new LogLineFormatter(true);
    private final LogLineFormatter text = new LogLineFormatter(false);

    @Test
    void writesTheKeysOfTheReferenceFirstAndThenTheFields() {
        String line = json.format(record(Level.INFO, "EKS Auth issued credentials",
                Field.of("namespace", "shop"), Field.of("millis", 12L)));

        assertThat(line).isEqualTo("{\"time\":\"" + TIME + "\",\"level\":\"info\",\"msg\":\"EKS Auth issued credentials\","
                + "\"namespace\":\"shop\",\"millis\":12,\"logger\":\"dev.podidentity.agent.Test\"}\n");
    }

    @Test
    void writesEachFieldAsWhatItIs() {
        String line = json.format(record(Level.INFO, "m",
                Field.of("string", "s"), Field.of("int", -7), Field.of("long", Long.MAX_VALUE), Field.of("flag", true),
                Field.of("nothing", null), Field.of("instant", Instant.EPOCH), Field.of("uri", URI.create("http://a"))));

        assertThat(new JsonObject(line).getMap())
                .containsEntry("string", "s")
                .containsEntry("int", -7)
                .containsEntry("long", Long.MAX_VALUE)
                .containsEntry("flag", true)
                .containsEntry("nothing", null)
                .containsEntry("instant", "1970-01-01T00:00:00Z")
                .containsEntry("uri", "http://a");
    }

    @Test
    void writesTheSameWithoutALogManager() {
        String line = json.format(Level.WARNING, "100% done", List.of(Field.of("link", "lo")), "dev.podidentity.agent.Test");

        assertThat(new JsonObject(line).fieldNames()).containsExactly("time", "level", "msg", "link", "logger");
        assertThat(line).contains("\"level\":\"warning\",\"msg\":\"100% done\",\"link\":\"lo\"").endsWith("}\n");
    }

    @Test
    void ignoresParametersThatAreNoFields() {
        String line = json.format(record(Level.INFO, "took %s", "long", Field.of("a", "b")));

        assertThat(new JsonObject(line).getString("msg")).isEqualTo("took long");
        assertThat(new JsonObject(line).getString("a")).isEqualTo("b");
        assertThat(new JsonObject(line).fieldNames()).containsExactly("time", "level", "msg", "a", "logger");
    }

    @Test
    void writesARecordWithoutParameters() {
        assertThat(new JsonObject(json.format(record(Level.INFO, "100% done"))).getString("msg")).isEqualTo("100% done");
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "\n{\"level\":\"error\"}", "a\r\nb", "\"", "\\", "\u0000", "\u001b[31m", "\t", "\u2028", "\ud800", "\u5e97"})
    void keepsOneJsonObjectALineWhateverAFieldHolds(String value) {
        // When
        String line = json.format(record(Level.INFO, value, Field.of("pod", value)));

        // Then
        assertThat(line).endsWith("}\n");
        assertThat(line.substring(0, line.length() - 1).chars()).allMatch(c -> c >= ' ');
        assertThat(new JsonObject(line).getString("pod")).isEqualTo(value);
        assertThat(new JsonObject(line).getString("msg")).isEqualTo(value);
    }

    @ParameterizedTest
    @CsvSource({
        "FATAL, fatal", "ERROR, error", "SEVERE, error", "WARN, warning", "WARNING, warning", "INFO, info",
        "CONFIG, debug", "DEBUG, debug", "FINE, debug", "FINER, trace", "TRACE, trace", "FINEST, trace"
    })
    void namesLevelsAsTheReferenceDoes(String level, String name) throws Exception {
        Level given = LogContext.getLogContext().getLevelForName(level);

        assertThat(new JsonObject(json.format(record(given, "m"))).getString("level")).isEqualTo(name);
        assertThat(text.format(record(given, "m"))).contains(String.format(Locale.ROOT, " %-7s m", name));
    }

    @Test
    void writesTimeInMillisecondsAndWithoutZone() {
        ExtLogRecord record = record(Level.INFO, "m");
        record.setInstant(Instant.parse("2026-03-01T12:00:00.999999999Z"));

        assertThat(new JsonObject(json.format(record)).getString("time")).isEqualTo("2026-03-01T12:00:00.999Z");
    }

    @Test
    void writesAnErrorWithItsStackTraceInTheSameLine() {
        // Given
        ExtLogRecord record = record(Level.SEVERE, "Failed");
        record.setThrown(new IllegalStateException("outer", new RuntimeException("inner")));

        // When
        String line = json.format(record);

        // Then
        assertThat(line.lines()).hasSize(1);
        assertThat(new JsonObject(line).getString("error"))
                .contains("IllegalStateException: outer", "Caused by: java.lang.RuntimeException: inner");
    }

    @Test
    void writesALineForPeople() {
        String line = text.format(record(Level.WARNING, "An address cannot be bound",
                Field.of("listener", "probes"), Field.of("port", 2703), Field.of("retry", true), Field.of("none", null)));

        assertThat(line).isEqualTo(
                TIME + " warning An address cannot be bound listener=probes port=2703 retry=true none=null\n");
    }

    @ParameterizedTest
    @CsvSource(quoteCharacter = '`', value = {
        "in use, \"in use\"",
        "a=b, \"a=b\"",
        "say \"no\", \"say \\\"no\\\"\"",
        "a \\ b, \"a \\\\ b\"",
        "a\\b, \"a\\\\b\"",
        "10.0.0.1:80, 10.0.0.1:80"
    })
    void quotesAValueThatIsNotOneWord(String value, String written) {
        assertThat(text.format(record(Level.INFO, "m", Field.of("key", value)))).endsWith(" key=" + written + "\n");
    }

    @Test
    void writesAStackTraceBelowTheLineForPeople() {
        ExtLogRecord record = record(Level.SEVERE, "Failed");
        record.setThrown(new IllegalStateException("outer"));

        assertThat(text.format(record)).startsWith(TIME + " error   Failed\njava.lang.IllegalStateException: outer");
    }

    private static ExtLogRecord record(Level level, String message, Object... parameters) {
        ExtLogRecord record = new ExtLogRecord(
                level,
                message,
                parameters.length == 0 ? ExtLogRecord.FormatStyle.NO_FORMAT : ExtLogRecord.FormatStyle.PRINTF,
                LogLineFormatterTest.class.getName());
        record.setLoggerName("dev.podidentity.agent.Test");
        record.setInstant(Instant.parse(TIME));
        record.setParameters(parameters);
        return record;
    }

    @Test
    void letsNoValueMakeALineOfItsOwn() {
        String value = "a\nerror forged \u001b[31m\u007f\u009b\u2028";

        String line = text.format(record(Level.INFO, "Started", Field.of("pod", value)));

        assertThat(line.strip()).endsWith("pod=\"a\\u000aerror forged \\u001b[31m\\u007f\\u009b\\u2028\"");
        assertThat(line.lines()).hasSize(1);
    }
}
