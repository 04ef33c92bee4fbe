package dev.podidentity.agent.cluster;

import java.util.regex.Pattern;

/**
 * Why the API server does not accept a token, in the words of its authenticators: those of one alone, or of several as
 * {@code [a, b]}. All that has to be known of them is whether the token was refused or a look-up failed.
 *
 * <p>The words can hold names that whoever made the workload has chosen: {@code serviceaccounts "etcd-backup" not found}.
 * So quoted parts do not count, and every expression here needs a character that no name of Kubernetes has (they are of
 * lower-case letters, digits, {@code -} and {@code .}).
 *
 * @param text what the review says, empty if it says nothing
 */
record ReviewError(String text) {

    /** The service-account authenticator's own refusals: it knows the token, so nobody else could have accepted it. */
    private static final Pattern REFUSED = Pattern.compile("service account token (?:has expired|has been invalidated"
            + "|is not valid yet|is issued in the future|claims could not be validated)"
            + "|Token has been invalidated"
            + "|serviceaccounts \"[^\"]*\" not found"
            + "|service ?account \\S+ has been deleted"
            + "|UID \\([^)]*\\) does not match"
            + "|is invalid for the target audiences", Pattern.CASE_INSENSITIVE);
    /**
     * A look-up that failed, as Go's network packages, etcd and Kubernetes' own errors put it. "Invalid bearer token" may
     * stand beside it: an authenticator says so of every token that is not its own.
     */
    private static final Pattern FAILED = Pattern.compile("deadline exceeded|timed out|i/o timeout|handshake timeout|timeout: "
            + "|etcdserver: |etcdclient: |rpc error: |rate limiter |too many requests|service unavailable"
            + "|temporarily unavailable|internal error occurred|could not be completed at this time|shutting down"
            + "|dial (?:tcp|unix)|connection (?:refused|reset|closed|lost|error|timeout)|closed (?:network )?connection"
            + "|server closed|broken pipe|no such host|no route to host|network is unreachable|transport is closing"
            + "|http2?: |tls: |x509: |context cancell?ed|request cancell?ed|operation was cancell?ed"
            + "|the server (?:is currently|was unable|has received|has asked|could not find|rejected our|reported a)"
            + "|an error on the server|is forbidden: |(?-i:\\bEOF\\b)", Pattern.CASE_INSENSITIVE);
    /** As Go's {@code %q} writes it. */
    private static final Pattern QUOTED = Pattern.compile("\"(?:[^\"\\\\]|\\\\.)*+\"");

    /** Whether the API server could not find out; what it says of the token then means nothing. */
    boolean lookUpFailed() {
        return !REFUSED.matcher(text).find() && FAILED.matcher(QUOTED.matcher(text).replaceAll("\"\"")).find();
    }
}
