package dev.podidentity.agent.config;

import java.net.URI;
import java.net.URISyntaxException;
import java.time.Duration;
import java.util.Set;
import java.util.regex.Pattern;
import org.eclipse.microprofile.config.spi.Converter;

/**
 * Converters that validate values. The message of their exceptions completes the sentence "X ..." and says what is allowed.
 * The command line and all other configuration sources share them.
 */
public final class Checked {

    /** The number of digits that always fits an int. */
    private static final Pattern DIGITS = Pattern.compile("[0-9]{1,9}");
    private static final Pattern CLUSTER_NAME = Pattern.compile("[0-9A-Za-z][0-9A-Za-z_-]{0,99}");
    private static final Pattern HOST_NAME =
            Pattern.compile("(?=.{1,253}$)[0-9A-Za-z_]([0-9A-Za-z_-]{0,62})(\\.[0-9A-Za-z_-]{1,63})*");
    /** A DNS subdomain and a name, either of which may be missing. */
    private static final Pattern TAINT_KEY =
            Pattern.compile("(?=.)([a-z0-9][a-z0-9.-]{0,252}/)?([0-9A-Za-z]([0-9A-Za-z_.-]{0,61}[0-9A-Za-z])?)?");
    private static final Pattern AUDIENCE = Pattern.compile("[\\x21-\\x7e]{1,256}");

    private Checked() {}

    /** A TCP port; for 0 the system chooses one. */
    public static final class Port implements Converter<Integer> {

        private static final long serialVersionUID = 1L;

        @Override
        public Integer convert(String value) {
            return whole(value, 65_535, "must be a port number from 0 to 65535");
        }
    }

    /** A number of things: 0 or more. */
    public static final class Count implements Converter<Integer> {

        private static final long serialVersionUID = 1L;
        private static final int MOST = 1_000_000;

        @Override
        public Integer convert(String value) {
            return whole(value, MOST, "must be a whole number from 0 to " + MOST);
        }
    }

    /** A maximum number of things, at least 1, because the agent would be useless with none. */
    public static final class Limit implements Converter<Integer> {

        private static final long serialVersionUID = 1L;
        private static final int MOST = 1_000_000;
        private static final String ALLOWED = "must be a whole number from 1 to " + MOST;

        @Override
        public Integer convert(String value) {
            int limit = whole(value, MOST, ALLOWED);
            if (limit == 0) {
                throw new IllegalArgumentException(ALLOWED);
            }
            return limit;
        }
    }

    /** A duration over 0. */
    public static final class Timeout implements Converter<Duration> {

        private static final long serialVersionUID = 1L;

        @Override
        public Duration convert(String value) {
            Duration timeout = GoDuration.parse(value);
            if (timeout.toMillis() == 0) {
                throw new IllegalArgumentException("must be a duration of 1ms or more, such as 900ms or 5s");
            }
            return timeout;
        }
    }

    /** A boolean, parsed like Go's {@code strconv.ParseBool}. */
    public static final class Truth implements Converter<Boolean> {

        private static final long serialVersionUID = 1L;
        private static final Set<String> TRUE = Set.of("1", "t", "T", "true", "TRUE", "True");
        private static final Set<String> FALSE = Set.of("0", "f", "F", "false", "FALSE", "False");

        @Override
        public Boolean convert(String value) {
            if (!TRUE.contains(value) && !FALSE.contains(value)) {
                throw new IllegalArgumentException("must be true or false");
            }
            return TRUE.contains(value);
        }
    }

    /** The name of an EKS cluster, which becomes part of a URL path. */
    public static final class ClusterName implements Converter<String> {

        private static final long serialVersionUID = 1L;

        @Override
        public String convert(String value) {
            if (!CLUSTER_NAME.matcher(value).matches()) {
                throw new IllegalArgumentException("must be the name of an EKS cluster: 1 to 100 letters, digits, "
                        + "hyphens and underscores, the first a letter or a digit");
            }
            return value;
        }
    }

    /** An address or host name. IPv6 addresses may have brackets, which are removed. */
    public static final class Host implements Converter<String> {

        private static final long serialVersionUID = 1L;

        @Override
        public String convert(String value) {
            boolean bracketed = value.startsWith("[") && value.endsWith("]");
            String host = bracketed ? value.substring(1, value.length() - 1) : value;
            boolean valid = host.contains(":")
                    ? IpAddress.v6(host).isPresent()
                    : !bracketed && HOST_NAME.matcher(host).matches();
            if (!valid) {
                throw new IllegalArgumentException(
                        "must be an IP address or a host name without a port, such as 169.254.170.23 or [fd00:ec2::23]");
            }
            return host;
        }
    }

    /** The URL of an EKS Auth endpoint. */
    public static final class Endpoint implements Converter<URI> {

        private static final long serialVersionUID = 1L;

        @Override
        public URI convert(String value) {
            return url(value, "must be an http or https URL, such as https://eks-auth.us-west-2.api.aws");
        }
    }

    /** The URL of an API server. */
    public static final class ApiServer implements Converter<URI> {

        private static final long serialVersionUID = 1L;

        @Override
        public URI convert(String value) {
            return url(value, "must be an http or https URL, such as https://10.100.0.1:443");
        }
    }

    /** The issuer of a cluster's tokens. */
    public static final class Issuer implements Converter<URI> {

        private static final long serialVersionUID = 1L;

        @Override
        public URI convert(String value) {
            return url(value, "must be an http or https URL, such as"
                    + " https://oidc.eks.us-west-2.amazonaws.com/id/0123456789ABCDEF");
        }
    }

    /** A taint key, or the start of a key that ends in a slash. */
    public static final class TaintKey implements Converter<String> {

        private static final long serialVersionUID = 1L;

        @Override
        public String convert(String value) {
            if (!TAINT_KEY.matcher(value).matches()) {
                throw new IllegalArgumentException("must be the key of a taint, or the start of one that ends in a slash,"
                        + " such as agent.example.com/not-ready or agent.example.com/");
            }
            return value;
        }
    }

    /** The audience of a token. */
    public static final class Audience implements Converter<String> {

        private static final long serialVersionUID = 1L;

        @Override
        public String convert(String value) {
            if (!AUDIENCE.matcher(value).matches()) {
                throw new IllegalArgumentException("must be 1 to 256 printable characters without spaces");
            }
            return value;
        }
    }

    private static URI url(String value, String allowed) {
        try {
            URI uri = new URI(value);
            boolean web = "https".equalsIgnoreCase(uri.getScheme()) || "http".equalsIgnoreCase(uri.getScheme());
            if (web && uri.getHost() != null && uri.getUserInfo() == null && uri.getQuery() == null
                    && uri.getFragment() == null) {
                return uri;
            }
        } catch (URISyntaxException e) {
            throw new IllegalArgumentException(allowed, e);
        }
        throw new IllegalArgumentException(allowed);
    }

    private static int whole(String value, int most, String allowed) {
        if (!DIGITS.matcher(value).matches() || Integer.parseInt(value) > most) {
            throw new IllegalArgumentException(allowed);
        }
        return Integer.parseInt(value);
    }
}
