package dev.podidentity.agent.config;

import java.util.Locale;
import org.eclipse.microprofile.config.spi.Converter;

/** How a log line is written. */
public enum LogFormat {
    /** One JSON object a line, for machines. */
    JSON,
    /** One readable line, for people. */
    TEXT;

    /**
     * Reads one format, in any case.
     *
     * @throws IllegalArgumentException if there is no such format, with those that there are
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
