package dev.podidentity.agent.realcluster;

import io.vertx.core.Vertx;
import io.vertx.core.http.HttpServer;
import io.vertx.core.http.HttpServerOptions;
import io.vertx.core.net.PemKeyCertOptions;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** Simulates an API server that has not read the cluster's roles yet, with a valid certificate and 403 for every request. */
final class RefusingApiServer implements AutoCloseable {

    private static final String FORBIDDEN = "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\","
            + "\"message\":\"forbidden: not yet\",\"reason\":\"Forbidden\",\"details\":{},\"code\":403}";

    private final Vertx vertx = Vertx.vertx();
    private final Set<String> refused = ConcurrentHashMap.newKeySet();
    private final HttpServer server;

    private RefusingApiServer(ApiServerProcess real) {
        HttpServerOptions options = new HttpServerOptions()
                .setSsl(true)
                .setKeyCertOptions(new PemKeyCertOptions()
                        .setCertPath(real.directory().resolve("server.crt").toString())
                        .setKeyPath(real.directory().resolve("server.key").toString()));
        server = vertx.createHttpServer(options)
                .requestHandler(request -> {
                    refused.add(request.path());
                    request.response().setStatusCode(403).putHeader("Content-Type", "application/json").end(FORBIDDEN);
                })
                .listen(0, "127.0.0.1").toCompletionStage().toCompletableFuture().join();
    }

    /** Starts a server with the certificate of another. */
    static RefusingApiServer start(ApiServerProcess real) {
        return new RefusingApiServer(real);
    }

    int port() {
        return server.actualPort();
    }

    /** Returns the paths of the requests so far. */
    Set<String> refused() {
        return refused;
    }

    @Override
    public void close() {
        vertx.close().toCompletionStage().toCompletableFuture().join();
    }
}
