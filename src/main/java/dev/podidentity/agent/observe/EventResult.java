package dev.podidentity.agent.observe;

import java.util.Locale;

/** The result of recording a Kubernetes Event on a pod; a metric label. */
public enum EventResult {
    CREATED,
    /** The API server could not be reached, or rejected the Event. */
    FAILED,
    /** The agent lacks the permission to create Events in that namespace. */
    FORBIDDEN,
    /** The namespace has been deleted, or is being deleted. */
    GONE,
    /** There were too many Events at once. */
    LIMITED;

    /** Returns the value of the label. */
    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}
