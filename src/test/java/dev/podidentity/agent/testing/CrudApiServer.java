package dev.podidentity.agent.testing;

import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.server.mock.KubernetesMixedDispatcher;
import io.fabric8.kubernetes.client.server.mock.KubernetesMockServer;
import io.fabric8.mockwebserver.Context;
import io.fabric8.mockwebserver.MockWebServer;
import io.fabric8.mockwebserver.ServerRequest;
import io.fabric8.mockwebserver.ServerResponse;
import io.vertx.core.Future;
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
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Consumer;

/**
 * Wraps fabric8's mock API server, in which objects can be created, read, updated and deleted. The mock serves watches over
 * WebSockets only, but a real server also streams them over plain HTTP, one event per line. A server in front of the mock
 * therefore forwards all requests and translates watches. It also strips field selectors, which the mock does not interpret
 * as Kubernetes does, so responses contain all objects. May be called on any thread.
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
    private final HttpServerOptions options;
    private final List<String> received = new CopyOnWriteArrayList<>();
    private final Map<String, Consumer<HttpServerRequest>> answers = new ConcurrentHashMap<>();
    private volatile Optional<String> token = Optional.empty();
    private HttpServer front;

    /** @param options {@link Certificates#server()} for HTTPS, or default options for plain HTTP */
    public CrudApiServer(HttpServerOptions options) {
        Map<ServerRequest, Queue<ServerResponse>> expectations = new HashMap<>();
        mock = new KubernetesMockServer(
                new Context(), new MockWebServer(), expectations, new KubernetesMixedDispatcher(expectations), false);
        mock.init();
        client = mock.createClient();
        this.options = options;
        front = listen(0);
    }

    private HttpServer listen(int port) {
        return await(vertx.createHttpServer(options).requestHandler(this::handle).listen(port, HOST));
    }

    /** Returns the URL to pass to the agent as {@code --api-server}. */
    public URI url() {
        return URI.create((options.isSsl() ? "https://" : "http://") + HOST + ':' + front.actualPort());
    }

    /** Responds with 401 to every request that does not present this bearer token. */
    public void requireToken(String bearer) {
        token = Optional.of(bearer);
    }

    /** Overrides the response for a path. The handler runs on the server's event loop. */
    public void answer(String path, Consumer<HttpServerRequest> with) {
        answers.put(path, with);
    }

    /** Responds to requests for a path with this status and body. */
    public void answer(String path, int status, String body) {
        answer(path, request -> request.response().setStatusCode(status).end(body));
    }

    /** Removes the override for a path, so that the stored objects are served again. */
    public void answerFromObjects(String path) {
        answers.remove(path);
    }

    /** Returns the method and path of each request received so far, such as {@code GET /openid/v1/jwks}. */
    public List<String> received() {
        return List.copyOf(received);
    }

    /** Returns how many requests with this method and path were received. */
    public int received(String methodAndPath) {
        return Collections.frequency(received, methodAndPath);
    }

    /** Closes all connections and stops listening. The objects are kept. */
    public void stop() {
        await(front.close());
    }

    /** Listens on the same port again after {@link #stop()}. */
    public void restart() {
        front = listen(front.actualPort());
    }

    /** Returns a client that creates and changes the stored objects. */
    public KubernetesClient client() {
        return client;
    }

    private void handle(HttpServerRequest request) {
        received.add(request.method() + " " + request.path());
        request.response().putHeader("Date", date());
        Consumer<HttpServerRequest> answer = answers.get(request.path());
        if (token.isPresent() && !("Bearer " + token.get()).equals(request.getHeader("Authorization"))) {
            request.response().setStatusCode(401).end();
        } else if (answer != null) {
            answer.accept(request);
        } else if (request.uri().contains("watch=true")) {
            watch(request);
        } else {
            request.body().onSuccess(body -> handOn(request, body));
        }
    }

    /** Returns the {@code Date} header, which every API server sends. */
    private static String date() {
        return DateTimeFormatter.RFC_1123_DATE_TIME.format(Instant.now().atOffset(ZoneOffset.UTC));
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
                    // A real server sends its headers immediately.
                    response.write("\n");
                })
                .onFailure(thrown -> request.connection().close());
    }

    @Override
    public void close() {
        client.close();
        await(vertx.close());
        mock.destroy();
    }

    private static <T> T await(Future<T> future) {
        return future.toCompletionStage().toCompletableFuture().join();
    }
}
