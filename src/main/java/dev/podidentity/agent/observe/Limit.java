package dev.podidentity.agent.observe;

import java.util.Locale;

/** A limit that turned something away: a metric's label, and what the log advises. */
public enum Limit {
    /** Requests of one source address. */
    SOURCE_REQUESTS("let the SDK in the pod cache its credentials, or raise --source-requests-per-second"),
    /** Connections of one source address. */
    SOURCE_CONNECTIONS("let the pod reuse its connections, or raise --max-connections-per-source"),
    /** Connections of all. */
    CONNECTIONS("let the pods reuse their connections; see which source has most of them"),
    /** Requests that a connection sent before it had their answers. */
    PIPELINED_REQUESTS("let the pod wait for the answer to a request before it sends more"),
    /** Header lines or bytes of one request. */
    HEADERS("let the pod send the token and no other large header"),
    /** Bytes of requests that are not answered yet. */
    REQUEST_BYTES("see what this pod sends: an SDK has one request of a few KiB under way"),
    /** Requests of one source address for probes and metrics. */
    SCRAPES("let whoever scrapes the metrics port ask less often"),
    /** Calls to EKS Auth that wait. */
    FETCHES("none if EKS Auth is slow; else see what this pod asks for, or raise --max-concurrent-fetches"),
    /** Calls of a source address whose calls keep failing, for whatever reason. */
    REFUSALS("see why the calls of this source fail: EKS Auth refuses its tokens, or is in trouble itself"),
    /** The time for the headers of a request. */
    HEADER_TIME("see why this pod does not finish its requests");

    private final String remedy;

    Limit(String remedy) {
        this.remedy = remedy;
    }

    /** The label's value. */
    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** What to do about a source that meets it. */
    String remedy() {
        return remedy;
    }
}
