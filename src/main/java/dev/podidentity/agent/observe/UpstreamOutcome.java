package dev.podidentity.agent.observe;

import java.util.Locale;

/** The result of a call to EKS Auth; a metric label. */
public enum UpstreamOutcome {
    SUCCESS,
    /** Failed for a temporary reason. */
    FAILED,
    /** Refused permanently. */
    REFUSED;

    /** Returns the value of the label. */
    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}
