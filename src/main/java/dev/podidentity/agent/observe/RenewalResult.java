package dev.podidentity.agent.observe;

import java.util.Locale;

/** The result of a renewal; a metric label. */
public enum RenewalResult {
    SUCCESS,
    /** Failed for a temporary reason; the entry stays and the renewal is retried. */
    FAILED,
    /** EKS Auth refused; the entry was removed. */
    REFUSED;

    /** Returns the value of the label. */
    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}
