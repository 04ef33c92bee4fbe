package dev.podidentity.agent.observe;

import java.util.Locale;

/** What came of a renewal: a metric's label. */
public enum RenewalResult {
    SUCCESS,
    /** Transient trouble; the entry stays and is tried again. */
    FAILED,
    /** EKS Auth refused; the entry is gone. */
    REFUSED;

    /** The label's value. */
    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}
