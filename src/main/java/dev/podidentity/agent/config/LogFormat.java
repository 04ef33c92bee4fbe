package dev.podidentity.agent.config;

import java.util.Locale;
import org.eclipse.microprofile.config.spi.Converter;

/** How a log line is written. */
public enum LogFormat {
    /** One JSON object per line, for machines. */
    JSON,
    /** One readable line, for people. */
    TEXT;

    /**
     * Parses a format, ignoring case.
     *
     * @throws IllegalArgumentException if there is no such format; the message lists the valid ones
     */
    public static LogFormat parse(String text) {
        for (LogFormat format : values()) {
            if (format.name().equals(text.toUpperCase(Locale.ROOT))) {
                return format;
            }
        }
        throw new IllegalArgumentException("must be json or text");
    }

    /** Reads a {@link LogFormat} from configuration. */
    public static final class Reader implements Converter<LogFormat> {

        private static final long serialVersionUID = 1L;

        @Override
        public LogFormat convert(String value) {
            return parse(value);
        }
    }
}
