package dev.podidentity.agent.config;

import java.util.Locale;
import org.eclipse.microprofile.config.spi.Converter;

/** Who verifies tokens before credentials are shared. */
public enum VerificationMode {
    /** Nobody: EKS Auth alone judges each token. */
    NONE,
    /** The agent, with the cluster's public keys. */
    JWKS,
    /** The API server, asked once for each token. */
    TOKEN_REVIEW;

    /**
     * Reads one, in any case.
     *
     * @throws IllegalArgumentException if there is no such value, with those that there are
     */
    public static VerificationMode parse(String text) {
        for (VerificationMode one : values()) {
            if (one.toString().equals(text.toLowerCase(Locale.ROOT))) {
                return one;
            }
        }
        throw new IllegalArgumentException("must be none, jwks or token-review");
    }

    /** As it is configured. */
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
