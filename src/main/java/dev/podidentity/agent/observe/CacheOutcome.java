package dev.podidentity.agent.observe;

import java.util.Locale;

/** How the cache served a request; a metric label. */
public enum CacheOutcome {
    /** Served from the cache immediately. */
    HIT,
    /** Called EKS Auth. */
    MISS,
    /** Waited for a call that was already in flight. */
    COALESCED,
    /** Served with credentials that were due for renewal, because newer ones did not arrive in time. */
    STALE,
    /** Answered with a recent failure. */
    REMEMBERED,
    /** Did not reach the cache. */
    NONE;

    /** Returns the value of the label. */
    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}
