package dev.podidentity.agent.observe;

import java.util.Locale;

/** Why an entry left the cache: a metric's label. */
public enum EvictionCause {
    /** The cache was full, and the entry the least recently used. */
    SIZE,
    /** The credentials expired. */
    EXPIRED,
    /** The token expired, so that nobody can ask for the entry any more. */
    TOKEN_EXPIRED,
    /** EKS Auth refused to renew it for good. */
    REFUSED,
    /** The last pod that it was for is gone. */
    POD_GONE;

    /** The label's value. */
    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}
