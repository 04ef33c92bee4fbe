package dev.podidentity.agent.http;

import io.vertx.core.Future;

/** Listens on addresses, and has what is accepted there served. On the event loop. */
interface Acceptor {

    /**
     * Begins to accept.
     *
     * @param opened is told of each connection
     * @return completes on the event loop; fails if the address cannot be bound
     */
    Future<Accepting> listen(String host, int port, Runnable opened);

    /** A socket that accepts. */
    interface Accepting {

        /** The port, also where the kernel chose it. */
        int port();

        /** Ceases to accept; connections that were accepted stay open. Completes when the kernel refuses new ones, on any thread. */
        Future<Void> stop();

        /** Ceases to accept, and closes what was accepted. Completes on any thread. */
        Future<Void> close();
    }
}
