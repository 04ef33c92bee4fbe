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
    /** Requests that a connection sent before it had their answers. */
    PIPELINED_REQUESTS,
    /** Scrapes of one source address. */
    SCRAPES,
    /** Calls to EKS Auth that wait. */
    FETCHES,
    /** Calls of a source address for which EKS Auth keeps refusing them. */
    REFUSALS,
    /** The time for the headers of a request. */
    HEADER_TIME;

    /** The label's value. */
    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}
