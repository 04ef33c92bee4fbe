package dev.podidentity.agent.http;

import io.netty.channel.Channel;
import io.vertx.core.Future;
import io.vertx.core.Handler;
import io.vertx.core.Promise;
import io.vertx.core.Vertx;
import io.vertx.core.http.HttpServer;
import io.vertx.core.http.HttpServerOptions;
import io.vertx.core.http.HttpServerRequest;

/** Accepts connections for probes or metrics, with Vert.x's HTTP server. */
final class OperationsAcceptor implements Acceptor {

    private final Vertx vertx;
    private final HttpServerOptions options;
    private final Handler<HttpServerRequest> requests;
    private final Connections connections;
    private final AcceptGate gate;

    /**
     * @param requests handles the requests
     * @param connections limits the open connections
     * @param gate limits connections that were accepted but are not open yet
     */
    OperationsAcceptor(
            Vertx vertx,
            HttpServerOptions options,
            Handler<HttpServerRequest> requests,
            Connections connections,
            AcceptGate gate) {
        this.vertx = vertx;
        this.options = options;
        this.requests = requests;
        this.connections = connections;
        this.gate = gate;
    }

    @Override
    public Future<Accepting> listen(String host, int port, Runnable opened) {
        HttpServer server = vertx.createHttpServer(options).requestHandler(requests);
        Socket socket = new Socket(server, gate);
        server.connectionHandler(connection -> {
            opened.run();
            socket.accepted(OperationsConnection.channel(connection).parent());
            OperationsConnection.opened(connection, connections);
        });
        return server.listen(port, host).map(socket);
    }

    private static final class Socket implements Accepting {

        private final HttpServer server;
        private final AcceptGate gate;
        /** Vert.x does not expose the accepting socket, so it is taken from the first connection. */
        private Channel channel;

        Socket(HttpServer server, AcceptGate gate) {
            this.server = server;
            this.gate = gate;
        }

        void accepted(Channel by) {
            if (channel == null) {
                channel = by;
                by.pipeline().addFirst(gate);
            }
        }

        @Override
        public int port() {
            return server.actualPort();
        }

        @Override
        public Future<Void> stop() {
            if (channel == null) {
                return close();
            }
            // Vert.x can only close a server together with all its connections.
            Promise<Void> closed = Promise.promise();
            channel.close().addListener(done -> closed.complete());
            return closed.future();
        }

        @Override
        public Future<Void> close() {
            return server.close();
        }
    }
}
