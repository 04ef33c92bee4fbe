package dev.podidentity.agent.observe;

import java.util.Locale;

/** How a fetch of the keys that tokens are verified with ended: a metric's label. */
public enum KeyFetchResult {
    /** There are keys. */
    SUCCESS,
    /** No answer, or one without a key that can be used. */
    FAILED,
    /** The agent may not ask. */
    FORBIDDEN;

    /** The label's value. */
    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}
