package dev.podidentity.agent.http;

import io.vertx.core.Future;

/** Accepts connections and has them served. Confined to the event loop. */
interface Acceptor {

    /**
     * Starts to accept.
     *
     * @param opened is called for each connection
     * @return completes on the event loop; fails if the address cannot be bound
     */
    Future<Accepting> listen(String host, int port, Runnable opened);

    /** A listening socket. */
    interface Accepting {

        /** Returns the port, even if the kernel chose it. */
        int port();

        /** Stops accepting; open connections remain. Completes on any thread when the kernel refuses new ones. */
        Future<Void> stop();

        /** Stops accepting, and closes open connections. Completes on any thread. */
        Future<Void> close();
    }
}
