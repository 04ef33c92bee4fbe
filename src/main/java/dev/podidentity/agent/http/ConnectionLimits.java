package dev.podidentity.agent.http;

import dev.podidentity.agent.config.AgentConfig;
import dev.podidentity.agent.loop.Shares;
import java.time.Duration;

/**
 * What the connections of one kind of listener may take of the agent. The figures are budgeted in
 * docs/decisions/0010-what-unfinished-work-may-cost.md.
 *
 * @param connections open at once
 * @param connectionsPerSource open at once from one source address
 * @param replacesIdle whether a source that has as many as it may have gives up its oldest idle one for a new one
 * @param largestHeaders bytes of the header lines of a request
 * @param requestBytes what all requests without an answer may take together
 * @param requestBytesPerSource what those of one source address may take
 * @param requestBytesReserved what a source address may always take, whatever the others have taken
 * @param requestOverhead what a request takes until its answer is sent, its head not counted
 * @param headerTimeout time for the head of a request, from its first byte
 */
record ConnectionLimits(
        int connections,
        int connectionsPerSource,
        boolean replacesIdle,
        int largestHeaders,
        int requestBytes,
        int requestBytesPerSource,
        int requestBytesReserved,
        int requestOverhead,
        Duration headerTimeout) {

    private static final int KIB = 1024;
    private static final int MIB = 1024 * KIB;

    /** What a decoded header line takes beyond its bytes until the headers are dropped. */
    static final int LINE_OVERHEAD = 160;
    /** Requests of one connection without an answer. No SDK sends one before it has the last answer; some tools do, a few. */
    static final int MOST_UNANSWERED = 16;

    /** Five hundred waiting requests of SDKs, and half as many of one source address: pods of the node's network share one. */
    static final int CREDENTIALS_BYTES = 4 * MIB;
    static final int CREDENTIALS_BYTES_PER_SOURCE = 2 * MIB;
    /** One request of an SDK with the largest usual token. */
    static final int CREDENTIALS_BYTES_RESERVED = 12 * KIB;
    /** The objects of a request, 2.4 KiB, and its answer on the way out. */
    static final int CREDENTIALS_OVERHEAD = 4 * KIB;

    /** A scraper or two and a person, or the kubelet; each listener has as many, so that nobody on one keeps others out of the other. */
    static final int OPERATIONS_CONNECTIONS = 12;
    static final int OPERATIONS_CONNECTIONS_PER_SOURCE = 4;
    static final int OPERATIONS_HEADERS = 8 * KIB;
    static final int OPERATIONS_BYTES = 384 * KIB;
    static final int OPERATIONS_BYTES_PER_SOURCE = 256 * KIB;
    static final int OPERATIONS_BYTES_RESERVED = 80 * KIB;
    /** The text of a scrape, some 35 KiB, as it is made and on the way out. */
    static final int OPERATIONS_OVERHEAD = 64 * KIB;

    static ConnectionLimits credentials(AgentConfig config) {
        return credentials(config.maxConnections(), config.maxConnectionsPerSource(), config.headerTimeout());
    }

    static ConnectionLimits credentials(int connections, int connectionsPerSource, Duration headerTimeout) {
        return new ConnectionLimits(
                connections,
                connectionsPerSource,
                false,
                RequestHeads.LARGEST_HEADERS,
                CREDENTIALS_BYTES,
                CREDENTIALS_BYTES_PER_SOURCE,
                CREDENTIALS_BYTES_RESERVED,
                CREDENTIALS_OVERHEAD,
                headerTimeout);
    }

    /** Those of the probes' listener, or of the metrics'. */
    static ConnectionLimits operations(Duration headerTimeout) {
        return new ConnectionLimits(
                OPERATIONS_CONNECTIONS,
                OPERATIONS_CONNECTIONS_PER_SOURCE,
                // Tools that ask for metrics leave connections open that they do not use again.
                true,
                OPERATIONS_HEADERS,
                OPERATIONS_BYTES,
                OPERATIONS_BYTES_PER_SOURCE,
                OPERATIONS_BYTES_RESERVED,
                OPERATIONS_OVERHEAD,
                headerTimeout);
    }

    /** Divides the bytes of requests among the source addresses. */
    Shares shares() {
        return new Shares(requestBytes, requestBytesPerSource, requestBytesReserved);
    }

    /** What a whole request takes until its answer is sent. */
    int cost(int bytes, int lines) {
        return bytes + lines * LINE_OVERHEAD + requestOverhead;
    }
}
