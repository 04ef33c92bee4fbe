package dev.podidentity.agent.observe;

import java.util.Locale;

/** A limit that rejected something; a metric label, with the remedy for the log. */
public enum Limit {
    /** Requests per source address. */
    SOURCE_REQUESTS("make the SDK in the pod cache its credentials, or raise --source-requests-per-second"),
    /** Connections per source address. */
    SOURCE_CONNECTIONS("make the pod reuse its connections, or raise --max-connections-per-source"),
    /** Connections of all sources. */
    CONNECTIONS("make the pods reuse their connections; find out which source has most of them"),
    /** Requests that a connection sent before it received the earlier responses. */
    PIPELINED_REQUESTS("make the pod wait for the response to a request before it sends more"),
    /** Header lines or bytes of a request. */
    HEADERS("make the pod send the token and no other large header"),
    /** Bytes of requests that have no response yet. */
    REQUEST_BYTES("check what this pod sends: an SDK has one request of a few KiB in flight"),
    /** Requests per source address for probes and metrics. */
    SCRAPES("make the clients of the metrics port send fewer requests"),
    /** Queued calls to EKS Auth. */
    FETCHES("none if EKS Auth is slow; otherwise check what this pod requests, or raise --max-concurrent-fetches"),
    /** Calls of a source address whose calls keep failing, for whatever reason. */
    REFUSALS("check why the calls of this source fail: EKS Auth refuses its tokens, or EKS Auth itself fails"),
    /** The time to send the headers of a request. */
    HEADER_TIME("check why this pod does not finish its requests");

    private final String remedy;

    Limit(String remedy) {
        this.remedy = remedy;
    }

    /** Returns the value of the label. */
    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** Returns what to do about a source that reaches the limit. */
    String remedy() {
        return remedy;
    }
}
