package dev.podidentity.agent.http;

import dev.podidentity.agent.loop.EventLoop;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.http.HttpServerOptions;
import io.vertx.core.http.HttpServerRequest;

/** Connections whose requests Vert.x handles. */
class OperationsConnectionTest extends ClientConnectionContract {

    @Override
    Future<Integer> serve(EventLoop loop, Vertx vertx, Connections connections) {
        HttpServerOptions options = new HttpServerOptions().setHttp2ClearTextEnabled(false);
        AcceptGate gate = new AcceptGate(loop, connections::rejected);
        return new OperationsAcceptor(vertx, options, this::handle, connections, gate)
                .listen("127.0.0.1", 0, () -> { })
                .map(Acceptor.Accepting::port);
    }

    private void handle(HttpServerRequest request) {
        OperationsConnection.of(request.connection()).filter(client -> !client.closing()).ifPresent(client -> {
            int status = client.failure().map(ErrorAnswer::ofUnreadable).map(ErrorAnswer::status).orElse(200);
            if (answering || status != 200) {
                if (client.lastRequest()) {
                    client.lastAnswer();
                    request.response().putHeader("connection", "close");
                }
                request.response().setStatusCode(status).end(body);
            }
        });
    }
}
