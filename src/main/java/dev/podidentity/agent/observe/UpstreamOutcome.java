package dev.podidentity.agent.observe;

import java.util.Locale;

/** What came of a call to EKS Auth: a metric's label. */
public enum UpstreamOutcome {
    SUCCESS,
    /** Transient trouble. */
    FAILED,
    /** An answer that will stay the same. */
    REFUSED;

    /** The label's value. */
    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}
