package dev.podidentity.agent.config;

import java.util.Locale;
import org.eclipse.microprofile.config.spi.Converter;

/** Which requests share credentials, and the call that fetches them. */
public enum CoalesceScope {
    /** Requests with the same token. */
    TOKEN,
    /** Requests of one pod. */
    POD,
    /** Requests of all pods of one service account on this node. */
    ROLE;

    /**
     * Parses a value, ignoring case.
     *
     * @throws IllegalArgumentException if there is no such value; the message lists the valid ones
     */
    public static CoalesceScope parse(String text) {
        for (CoalesceScope one : values()) {
            if (one.toString().equals(text.toLowerCase(Locale.ROOT))) {
                return one;
            }
        }
        throw new IllegalArgumentException("must be token, pod or role");
    }

    /** Returns the value as it is configured. */
    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }

    /** Reads a {@link CoalesceScope} from configuration. */
    public static final class Reader implements Converter<CoalesceScope> {

        private static final long serialVersionUID = 1L;

        @Override
        public CoalesceScope convert(String value) {
            return parse(value);
        }
    }
}
