package dev.podidentity.agent.observe;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.Optional;
import java.util.logging.Level;
import org.jboss.logmanager.ExtFormatter;
import org.jboss.logmanager.ExtLogRecord;

/**
 * Formats a log record with its {@link Field}s, either as a JSON object that starts with the reference's keys {@code time},
 * {@code level} and {@code msg}, or as a line for people.
 */
public final class LogLineFormatter extends ExtFormatter {

    private static final JsonFactory JSON = new JsonFactory();
    private static final char DELETE = 0x7f;
    private static final char LINE_SEPARATOR = 0x2028;
    private static final char PARAGRAPH_SEPARATOR = 0x2029;

    private final boolean json;

    /** @param json whether to write JSON rather than text */
    public LogLineFormatter(boolean json) {
        this.json = json;
    }

    @Override
    public String format(ExtLogRecord record) {
        return format(new Line(
                record.getInstant(),
                record.getLevel(),
                record.getFormattedMessage(),
                record.getParameters() == null ? new Object[0] : record.getParameters(),
                record.getLoggerName(),
                Optional.ofNullable(record.getThrown())));
    }

    /** Formats a line without the log manager, which takes longer to start than some commands take to run. */
    public String format(Level level, String message, List<Field> fields, String logger) {
        return format(new Line(Instant.now(), level, message, fields.toArray(), logger, Optional.empty()));
    }

    private String format(Line line) {
        return json ? json(line) : text(line);
    }

    private record Line(
            Instant time, Level level, String message, Object[] parameters, String logger, Optional<Throwable> thrown) {}

    private static String json(Line line) {
        StringWriter text = new StringWriter();
        try (JsonGenerator out = JSON.createGenerator(text)) {
            out.writeStartObject();
            out.writeStringField("time", time(line));
            out.writeStringField("level", level(line.level()));
            out.writeStringField("msg", line.message());
            for (Object parameter : line.parameters()) {
                if (parameter instanceof Field field) {
                    write(out, field);
                }
            }
            out.writeStringField("logger", line.logger());
            if (line.thrown().isPresent()) {
                out.writeStringField("error", stackTrace(line.thrown().get()));
            }
            out.writeEndObject();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return text.append('\n').toString();
    }

    private static void write(JsonGenerator out, Field field) throws IOException {
        Object value = field.value();
        out.writeFieldName(field.key());
        if (value instanceof Long || value instanceof Integer) {
            out.writeNumber(((Number) value).longValue());
        } else if (value instanceof Boolean flag) {
            out.writeBoolean(flag);
        } else if (value == null) {
            out.writeNull();
        } else {
            out.writeString(value.toString());
        }
    }

    private static String text(Line line) {
        StringBuilder text = new StringBuilder()
                .append(time(line)).append(' ')
                .append(String.format("%-7s", level(line.level())))
                .append(' ')
                .append(line.message());
        for (Object parameter : line.parameters()) {
            if (parameter instanceof Field field) {
                text.append(' ').append(field.key()).append('=').append(quoted(String.valueOf(field.value())));
            }
        }
        text.append('\n');
        line.thrown().ifPresent(thrown -> text.append(stackTrace(thrown)));
        return text.toString();
    }

    /** Quotes a value if necessary, and escapes control characters, so that a value cannot forge a log line. */
    private static String quoted(String value) {
        if (value.chars().allMatch(c -> c > ' ' && c < DELETE && c != '"' && c != '=' && c != '\\')) {
            return value;
        }
        StringBuilder quoted = new StringBuilder("\"");
        value.chars().forEach(c -> {
            if (c == '"' || c == '\\') {
                quoted.append('\\').append((char) c);
            } else if (Character.isISOControl(c) || c == LINE_SEPARATOR || c == PARAGRAPH_SEPARATOR) {
                quoted.append(String.format("\\u%04x", c));
            } else {
                quoted.append((char) c);
            }
        });
        return quoted.append('"').toString();
    }

    private static String time(Line line) {
        return line.time().truncatedTo(ChronoUnit.MILLIS).toString();
    }

    /** Returns the reference's name for a level. */
    private static String level(Level level) {
        int value = level.intValue();
        if (value > Level.SEVERE.intValue()) {
            return "fatal";
        }
        if (value >= Level.SEVERE.intValue()) {
            return "error";
        }
        if (value >= Level.WARNING.intValue()) {
            return "warning";
        }
        if (value >= Level.INFO.intValue()) {
            return "info";
        }
        return value >= Level.FINE.intValue() ? "debug" : "trace";
    }

    private static String stackTrace(Throwable thrown) {
        StringWriter trace = new StringWriter();
        thrown.printStackTrace(new PrintWriter(trace, true));
        return trace.toString();
    }
}
