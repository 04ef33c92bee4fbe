package dev.podidentity.agent.benchmark;

/**
 * What wrk asks for.
 *
 * @param connections that are open at once
 * @param keepAlive whether a connection serves more than one request
 */
record Load(int connections, String path, boolean keepAlive) {

    private static final String CREDENTIALS = "/v1/credentials";

    /** Hits over connections that stay open. */
    static Load of(int connections) {
        return new Load(connections, CREDENTIALS, true);
    }

    Load ofAtMost(int fewer) {
        return new Load(Math.min(fewer, connections), path, keepAlive);
    }

    Load withoutKeepAlive() {
        return new Load(connections, path, false);
    }

    /** The same requests for a path that no agent has. */
    Load notFound() {
        return new Load(connections, "/nothing", keepAlive);
    }
}
