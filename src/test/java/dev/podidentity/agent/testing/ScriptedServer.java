package dev.podidentity.agent.testing;

import io.vertx.core.Vertx;
import io.vertx.core.VertxOptions;
import io.vertx.core.file.FileSystemOptions;
import io.vertx.core.http.HttpServer;
import io.vertx.core.http.HttpServerOptions;
import io.vertx.core.http.HttpServerRequest;
import java.net.URI;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Consumer;

/** Runs an HTTP server, on its own event loop, that responds as a test tells it to. */
public final class ScriptedServer implements AutoCloseable {

    private final Vertx vertx = Vertx.vertx(new VertxOptions()
            .setEventLoopPoolSize(1)
            .setFileSystemOptions(new FileSystemOptions().setClassPathResolvingEnabled(false).setFileCachingEnabled(false)));
    private final HttpServer server;
    private final boolean secure;
    private final String host;
    private final List<HttpServerRequest> received = new CopyOnWriteArrayList<>();
    private volatile Consumer<HttpServerRequest> script = request -> request.response().setStatusCode(404).end();

    public ScriptedServer() {
        this("127.0.0.1", new HttpServerOptions());
    }

    public ScriptedServer(String host, HttpServerOptions options) {
        this.host = host;
        secure = options.isSsl();
        server = vertx.createHttpServer(options).requestHandler(request -> {
            received.add(request);
            script.accept(request);
        });
        server.listen(0, host).toCompletionStage().toCompletableFuture().join();
    }

    /** Sets the handler for all further requests. It runs on the server's event loop. */
    public void answer(Consumer<HttpServerRequest> with) {
        script = with;
    }

    /** Responds to all further requests with this status and body. */
    public void answer(int status, String body) {
        answer(request -> request.response().setStatusCode(status).end(body));
    }

    /** Tunnels the connection of a CONNECT request to a local port, in both directions. To be called from a handler. */
    public void tunnel(HttpServerRequest request, int port) {
        request.toNetSocket().onSuccess(socket -> {
            socket.pause();
            vertx.createNetClient().connect(port, "127.0.0.1").onSuccess(onward -> {
                socket.pipeTo(onward);
                onward.pipeTo(socket);
                socket.resume();
            });
        });
    }

    public List<HttpServerRequest> received() {
        return received;
    }

    public URI url() {
        String authority = host.contains(":") ? "[" + host + "]" : host;
        return URI.create((secure ? "https://" : "http://") + authority + ":" + server.actualPort());
    }

    @Override
    public void close() {
        vertx.close().toCompletionStage().toCompletableFuture().join();
    }
}
