package dev.podidentity.agent.observe;

import java.util.Locale;

/** Why the watch on pods, or the list before it, ended and had to begin anew. */
public enum WatchEnd {
    /** Its time was over, which is nothing unusual. */
    ENDED,
    /** The connection broke, fell silent, or carried what cannot be used. */
    BROKEN,
    /** The API server cannot go on from where the watch was: the pods are listed again. */
    EXPIRED,
    /** The agent may not watch. */
    REFUSED;

    /** The label's value. */
    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}
