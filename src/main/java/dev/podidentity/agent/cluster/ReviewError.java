package dev.podidentity.agent.cluster;

import java.util.regex.Pattern;

/**
 * The API server's reason for not accepting a token: the message of one authenticator, or those of several as
 * {@code [a, b]}. It only serves to tell a rejected token from a failed look-up.
 *
 * <p>The text can contain names that the workload's author chose: {@code serviceaccounts "etcd-backup" not found}. Quoted
 * parts are therefore ignored, and every pattern here requires a character that Kubernetes names cannot contain (they
 * consist of lower-case letters, digits, {@code -} and {@code .}).
 *
 * @param text the error of the review; empty if there is none
 */
record ReviewError(String text) {

    /**
     * Rejections by the service account authenticator itself: it knows the token, so no other authenticator could accept it.
     */
    private static final Pattern REFUSED = Pattern.compile("service account token (?:has expired|has been invalidated"
            + "|is not valid yet|is issued in the future|claims could not be validated)"
            + "|Token has been invalidated"
            + "|serviceaccounts \"[^\"]*\" not found"
            + "|service ?account \\S+ has been deleted"
            + "|UID \\([^)]*\\) does not match"
            + "|is invalid for the target audiences", Pattern.CASE_INSENSITIVE);
    /**
     * Failed look-ups, as worded by Go's network packages, etcd and Kubernetes itself. "Invalid bearer token" may stand
     * beside such a message, because each authenticator says so of every token that is not its own.
     */
    private static final Pattern FAILED = Pattern.compile("deadline exceeded|timed out|i/o timeout|handshake timeout|timeout: "
            + "|etcdserver: |etcdclient: |rpc error: |rate limiter |too many requests|service unavailable"
            + "|temporarily unavailable|internal error occurred|could not be completed at this time|shutting down"
            + "|dial (?:tcp|unix)|connection (?:refused|reset|closed|lost|error|timeout)|closed (?:network )?connection"
            + "|server closed|broken pipe|no such host|no route to host|network is unreachable|transport is closing"
            + "|http2?: |tls: |x509: |context cancell?ed|request cancell?ed|operation was cancell?ed"
            + "|the server (?:is currently|was unable|has received|has asked|could not find|rejected our|reported a)"
            + "|an error on the server|is forbidden: |(?-i:\\bEOF\\b)", Pattern.CASE_INSENSITIVE);
    /** A string as Go's {@code %q} writes it. */
    private static final Pattern QUOTED = Pattern.compile("\"(?:[^\"\\\\]|\\\\.)*+\"");

    /** Returns whether the API server could not decide, so that its result says nothing about the token. */
    boolean lookUpFailed() {
        return !REFUSED.matcher(text).find() && FAILED.matcher(QUOTED.matcher(text).replaceAll("\"\"")).find();
    }
}
