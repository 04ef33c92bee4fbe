package dev.podidentity.agent.observe;

import java.util.Locale;

/** How the cache took part in a request: a metric's label. */
public enum CacheOutcome {
    /** Answered from the cache at once. */
    HIT,
    /** Made a call to EKS Auth. */
    MISS,
    /** Waited for a call that was under way. */
    COALESCED,
    /** Answered with credentials that were due for renewal, as fresher ones could not be had in time. */
    STALE,
    /** Answered with a failure of a moment ago. */
    REMEMBERED,
    /** Did not get as far as the cache. */
    NONE;

    /** The label's value. */
    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}
