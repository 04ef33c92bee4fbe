package dev.podidentity.agent.observe;

import java.util.Locale;

/** A limit that turned something away: a metric's label. */
public enum Limit {
    /** Requests of one source address. */
    SOURCE_REQUESTS,
    /** Connections of one source address. */
    SOURCE_CONNECTIONS,
    /** Connections of all. */
    CONNECTIONS,
    /** Calls to EKS Auth that wait. */
    FETCHES,
    /** The time for the headers of a request. */
    HEADER_TIME;

    /** The label's value. */
    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}
