package dev.podidentity.agent.observe;

import java.util.Locale;

/** Why the watch on pods, or the list before it, ended and had to restart; a metric label. */
public enum WatchEnd {
    /** It reached its timeout, which is normal. */
    ENDED,
    /** The connection was lost, fell silent, or delivered unusable data. */
    BROKEN,
    /** The API server cannot resume from the watch's version, so the pods are listed again. */
    EXPIRED,
    /** The agent lacks the permission to watch. */
    REFUSED;

    /** Returns the value of the label. */
    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}
