package dev.podidentity.agent.config;

import java.util.Locale;
import org.eclipse.microprofile.config.spi.Converter;

/** How much the agent logs: the reference's level names, most severe first. */
public enum Verbosity {
    PANIC("FATAL"),
    FATAL("FATAL"),
    ERROR("ERROR"),
    WARN("WARN"),
    INFO("INFO"),
    DEBUG("DEBUG"),
    TRACE("TRACE");

    private final String logLevel;

    Verbosity(String logLevel) {
        this.logLevel = logLevel;
    }

    /** Returns the log manager's name for this level. */
    public String logLevel() {
        return logLevel;
    }

    /**
     * Parses a level, ignoring case; {@code warning} means {@code warn}.
     *
     * @throws IllegalArgumentException if there is no such level; the message lists the valid ones
     */
    public static Verbosity parse(String text) {
        String name = text.toUpperCase(Locale.ROOT);
        for (Verbosity verbosity : values()) {
            if (verbosity.name().equals(name) || (verbosity == WARN && name.equals("WARNING"))) {
                return verbosity;
            }
        }
        throw new IllegalArgumentException("must be one of panic, fatal, error, warn, info, debug, trace");
    }

    /** Reads a {@link Verbosity} from configuration. */
    public static final class Reader implements Converter<Verbosity> {

        private static final long serialVersionUID = 1L;

        @Override
        public Verbosity convert(String value) {
            return parse(value);
        }
    }
}
