package dev.podidentity.agent.benchmark;

/**
 * The requests that wrk sends.
 *
 * @param connections the number of concurrent connections
 * @param keepAlive whether a connection serves more than one request
 */
record Load(int connections, String path, boolean keepAlive) {

    private static final String CREDENTIALS = "/v1/credentials";

    /** Returns cache hits over persistent connections. */
    static Load of(int connections) {
        return new Load(connections, CREDENTIALS, true);
    }

    Load ofAtMost(int fewer) {
        return new Load(Math.min(fewer, connections), path, keepAlive);
    }

    Load withoutKeepAlive() {
        return new Load(connections, path, false);
    }

    /** Returns the same requests for a path that no agent serves. */
    Load notFound() {
        return new Load(connections, "/nothing", keepAlive);
    }
}
