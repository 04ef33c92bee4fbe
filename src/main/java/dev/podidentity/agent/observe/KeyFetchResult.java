package dev.podidentity.agent.observe;

import java.util.Locale;

/** The result of fetching the signing keys; a metric label. */
public enum KeyFetchResult {
    /** There are keys. */
    SUCCESS,
    /** There was no response, or one without a usable key. */
    FAILED,
    /** The agent lacks the permission. */
    FORBIDDEN;

    /** Returns the value of the label. */
    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}
