package dev.podidentity.agent.config;

import java.util.Locale;
import org.eclipse.microprofile.config.spi.Converter;

/** How tokens are verified before credentials are shared. */
public enum VerificationMode {
    /** The agent does not verify tokens; only EKS Auth does. */
    NONE,
    /** The agent verifies tokens with the cluster's public keys. */
    JWKS,
    /** The API server reviews each token once. */
    TOKEN_REVIEW;

    /**
     * Parses a value, ignoring case.
     *
     * @throws IllegalArgumentException if there is no such value; the message lists the valid ones
     */
    public static VerificationMode parse(String text) {
        for (VerificationMode one : values()) {
            if (one.toString().equals(text.toLowerCase(Locale.ROOT))) {
                return one;
            }
        }
        throw new IllegalArgumentException("must be none, jwks or token-review");
    }

    /** Returns the value as it is configured. */
    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }

    /** Reads a {@link VerificationMode} from configuration. */
    public static final class Reader implements Converter<VerificationMode> {

        private static final long serialVersionUID = 1L;

        @Override
        public VerificationMode convert(String value) {
            return parse(value);
        }
    }
}
