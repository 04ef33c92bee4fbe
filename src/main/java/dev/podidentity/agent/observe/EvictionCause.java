package dev.podidentity.agent.observe;

import java.util.Locale;

/** Why an entry left the cache; a metric label. */
public enum EvictionCause {
    /** The cache was full, and the entry was the least recently used. */
    SIZE,
    /** The credentials expired. */
    EXPIRED,
    /** The token expired, so that no request can use the entry any more. */
    TOKEN_EXPIRED,
    /** EKS Auth permanently refused the renewal. */
    REFUSED,
    /** The entry's last pod is gone. */
    POD_GONE;

    /** Returns the value of the label. */
    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}
