package dev.podidentity.agent.http;

import dev.podidentity.agent.config.AgentConfig;
import dev.podidentity.agent.loop.Shares;
import java.time.Duration;

/**
 * The limits on connections of one kind of listener. docs/decisions/0010-what-unfinished-work-may-cost.md explains the
 * figures.
 *
 * @param connections open at the same time
 * @param connectionsPerSource open at the same time from one source address
 * @param replacesIdle whether a source at its limit loses its oldest idle connection to a new one
 * @param largestHeaders bytes of the header lines of a request
 * @param requestBytes the budget of all requests without a response
 * @param requestBytesPerSource the share of one source address
 * @param requestBytesReserved what a source address may always use, regardless of the others
 * @param requestOverhead the charge of a request until its response has been sent, in addition to its head
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

    /** What a decoded header line takes in addition to its bytes, until headers are released. */
    static final int LINE_OVERHEAD = 160;
    /**
     * Requests without a response on one connection. SDKs never send a request before the response to the last one; some
     * tools send a few.
     */
    static final int MOST_UNANSWERED = 16;

    /**
     * Five hundred waiting SDK requests, and half as many from one source address, because pods on the node's network share
     * one.
     */
    static final int CREDENTIALS_BYTES = 4 * MIB;
    static final int CREDENTIALS_BYTES_PER_SOURCE = 2 * MIB;
    /** One SDK request with the largest usual token. */
    static final int CREDENTIALS_BYTES_RESERVED = 12 * KIB;
    /** The objects of a request, 2.4 KiB, and its response while it is sent. */
    static final int CREDENTIALS_OVERHEAD = 4 * KIB;

    /**
     * A scraper or two and a person, or the kubelet. Each listener has its own limit, so that clients of one do not block
     * the other.
     */
    static final int OPERATIONS_CONNECTIONS = 12;
    static final int OPERATIONS_CONNECTIONS_PER_SOURCE = 4;
    static final int OPERATIONS_HEADERS = 8 * KIB;
    static final int OPERATIONS_BYTES = 384 * KIB;
    static final int OPERATIONS_BYTES_PER_SOURCE = 256 * KIB;
    static final int OPERATIONS_BYTES_RESERVED = 80 * KIB;
    /** The text of a scrape, about 35 KiB, while it is created and sent. */
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

    /** Returns the limits of the probe listener or the metrics listener. */
    static ConnectionLimits operations(Duration headerTimeout) {
        return new ConnectionLimits(
                OPERATIONS_CONNECTIONS,
                OPERATIONS_CONNECTIONS_PER_SOURCE,
                // Scrapers leave connections open that they do not use again.
                true,
                OPERATIONS_HEADERS,
                OPERATIONS_BYTES,
                OPERATIONS_BYTES_PER_SOURCE,
                OPERATIONS_BYTES_RESERVED,
                OPERATIONS_OVERHEAD,
                headerTimeout);
    }

    /** Returns a new division of the requests' bytes among source addresses. */
    Shares shares() {
        return new Shares(requestBytes, requestBytesPerSource, requestBytesReserved);
    }

    /** Returns the charge of a complete request until its response has been sent. */
    int cost(int bytes, int lines) {
        return bytes + lines * LINE_OVERHEAD + requestOverhead;
    }
}
