package dev.podidentity.agent.observe;

import java.util.Locale;

/** What came of a Kubernetes Event that was to be put on a pod: a metric's label. */
public enum EventResult {
    CREATED,
    /** The API server could not be reached, or did not take it. */
    FAILED,
    /** The agent may not create Events in that namespace. */
    FORBIDDEN,
    /** The namespace is gone, or about to be. */
    GONE,
    /** Too many at once. */
    LIMITED;

    /** The label's value. */
    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}
