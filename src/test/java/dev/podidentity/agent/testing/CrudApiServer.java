package dev.podidentity.agent.testing;

import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.server.mock.KubernetesMixedDispatcher;
import io.fabric8.kubernetes.client.server.mock.KubernetesMockServer;
import io.fabric8.mockwebserver.Context;
import io.fabric8.mockwebserver.MockWebServer;
import io.fabric8.mockwebserver.ServerRequest;
import io.fabric8.mockwebserver.ServerResponse;
import io.vertx.core.Vertx;
import io.vertx.core.VertxOptions;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.file.FileSystemOptions;
import io.vertx.core.http.HttpClient;
import io.vertx.core.http.HttpServer;
import io.vertx.core.http.HttpServerOptions;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.http.HttpServerResponse;
import io.vertx.core.http.RequestOptions;
import io.vertx.core.http.WebSocketClient;
import io.vertx.core.http.WebSocketConnectOptions;
import java.net.URI;
import java.util.HashMap;
import java.util.Map;
import java.util.Queue;

/**
 * fabric8's mock of an API server, in which objects can be created, read, changed and deleted. It serves watches over
 * WebSockets only; a real server also serves them over plain HTTP, one event a line. So a server in front of it hands
 * everything on, and watches in that way. The mock also reads field selectors in a way of its own, so it gets none, and
 * answers with all objects. Any thread.
 */
public final class CrudApiServer implements AutoCloseable {

    private static final String HOST = "127.0.0.1";

    private final Vertx vertx = Vertx.vertx(new VertxOptions()
            .setEventLoopPoolSize(1)
            .setFileSystemOptions(new FileSystemOptions().setClassPathResolvingEnabled(false).setFileCachingEnabled(false)));
    private final HttpClient http = vertx.createHttpClient();
    private final WebSocketClient webSockets = vertx.createWebSocketClient();
    private final KubernetesMockServer mock;
    private final KubernetesClient client;
    private final HttpServer front;
    private final boolean secure;

    /** @param options {@link Certificates#server()}, or new ones for plain HTTP */
    public CrudApiServer(HttpServerOptions options) {
        Map<ServerRequest, Queue<ServerResponse>> expectations = new HashMap<>();
        mock = new KubernetesMockServer(
                new Context(), new MockWebServer(), expectations, new KubernetesMixedDispatcher(expectations), false);
        mock.init();
        client = mock.createClient();
        secure = options.isSsl();
        front = vertx.createHttpServer(options).requestHandler(this::handle);
        front.listen(0, HOST).toCompletionStage().toCompletableFuture().join();
    }

    /** What the agent's {@code --api-server} is to be. */
    public URI url() {
        return URI.create((secure ? "https://" : "http://") + HOST + ':' + front.actualPort());
    }

    /** What arranges its objects. */
    public KubernetesClient client() {
        return client;
    }

    /** What answers other than from its objects are made with. */
    public KubernetesMockServer mock() {
        return mock;
    }

    private void handle(HttpServerRequest request) {
        if (request.uri().contains("watch=true")) {
            watch(request);
        } else {
            request.body().onSuccess(body -> handOn(request, body));
        }
    }

    private void handOn(HttpServerRequest request, Buffer body) {
        HttpServerResponse response = request.response();
        RequestOptions options = new RequestOptions()
                .setMethod(request.method())
                .setHost(mock.getHostName())
                .setPort(mock.getPort())
                .setURI(withoutSelector(request.uri()));
        request.headers().forEach(header -> {
            if (header.getKey().equalsIgnoreCase("Content-Type")) {
                options.putHeader(header.getKey(), header.getValue());
            }
        });
        http.request(options)
                .compose(onward -> onward.send(body))
                .compose(answer -> answer.body()
                        .compose(answered -> response.setStatusCode(answer.statusCode()).end(answered)))
                .onFailure(thrown -> request.connection().close());
    }

    private static String withoutSelector(String uri) {
        return uri.replaceFirst("fieldSelector=[^&]*&?", "");
    }

    private void watch(HttpServerRequest request) {
        HttpServerResponse response = request.response().setChunked(true);
        WebSocketConnectOptions options = new WebSocketConnectOptions()
                .setHost(mock.getHostName())
                .setPort(mock.getPort())
                .setURI(withoutSelector(request.uri()));
        webSockets.connect(options)
                .onSuccess(socket -> {
                    response.closeHandler(closed -> socket.close());
                    socket.textMessageHandler(event -> response.write(event + '\n'));
                    socket.closeHandler(closed -> response.end());
                    // A real server sends its headers at once.
                    response.write("\n");
                })
                .onFailure(thrown -> request.connection().close());
    }

    @Override
    public void close() {
        client.close();
        vertx.close().toCompletionStage().toCompletableFuture().join();
        mock.destroy();
    }
}
