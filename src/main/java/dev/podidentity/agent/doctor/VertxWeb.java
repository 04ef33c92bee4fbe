package dev.podidentity.agent.doctor;

import dev.podidentity.agent.apiserver.ApiAnswer;
import dev.podidentity.agent.apiserver.HttpCalls;
import dev.podidentity.agent.apiserver.HttpCalls.Call;
import dev.podidentity.agent.apiserver.HttpCalls.Limits;
import dev.podidentity.agent.loop.EventLoop;
import dev.podidentity.agent.outbound.CallFailure;
import io.fabric8.kubernetes.client.http.HttpClient;
import io.fabric8.kubernetes.client.http.HttpRequest;
import io.vertx.core.Vertx;
import io.vertx.core.VertxOptions;
import io.vertx.core.file.FileSystemOptions;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import javax.net.ssl.KeyManager;

/** Makes calls with the HTTP client that the agent uses for the API server, on its own Vert.x. */
final class VertxWeb implements Web, AutoCloseable {

    /** A list of many pods is longer than any other response. */
    private static final int LARGEST_BODY = 32 * 1024 * 1024;
    /** The agent serves metrics as text, and IAM would respond in JSON instead of XML if asked to. */
    private static final String ANY_TYPE = "*/*";

    private final Vertx vertx = Vertx.vertx(new VertxOptions()
            .setEventLoopPoolSize(1)
            // Vert.x would unpack resources into a directory, which may be on a read-only file system.
            .setFileSystemOptions(new FileSystemOptions().setClassPathResolvingEnabled(false).setFileCachingEnabled(false)));
    private final EventLoop loop = new EventLoop(vertx, vertx.getOrCreateContext());
    private final ExecutorService worker = Executors.newSingleThreadExecutor();
    private final HttpCalls calls = new HttpCalls(vertx, loop, worker, 1);

    @Override
    public ApiAnswer ask(Ask ask) throws CallFailure {
        CompletableFuture<ApiAnswer> answer = new CompletableFuture<>();
        Optional<KeyManager[]> keys = keys(ask.route());
        loop.execute(() -> {
            HttpClient client = client(ask.route(), keys);
            Limits limits = new Limits(ask.limit(), ask.limit(), LARGEST_BODY);
            HttpRequest.Builder request = HttpCalls.request(ask.url().toString(), ANY_TYPE, limits);
            ask.headers().forEach(request::header);
            request.method(ask.method(), ask.headers().get("Content-Type"), ask.body().orElse(null));
            Call call = new Call(
                    () -> Optional.of(client),
                    request.build(),
                    ask.route().proxy().orElse(ask.url()).getHost(),
                    limits,
                    Optional.empty(),
                    ask.callee());
            calls.make(call).onComplete(ended -> {
                client.close();
                if (ended.succeeded()) {
                    answer.complete(ended.result());
                } else {
                    answer.completeExceptionally(ended.cause());
                }
            });
        });
        try {
            return answer.join();
        } catch (CompletionException e) {
            throw ask.callee().of(e);
        }
    }

    private HttpClient client(Route route, Optional<KeyManager[]> keys) {
        HttpClient.Builder builder = calls.newBuilder();
        if (route.trust().isPresent() || keys.isPresent()) {
            builder.sslContext(keys.orElse(null), route.trust().orElse(null));
        }
        route.proxy().ifPresent(proxy -> HttpCalls.through(proxy, builder));
        return builder.build();
    }

    private Optional<KeyManager[]> keys(Route route) throws CallFailure {
        if (route.identity().isEmpty()) {
            return Optional.empty();
        }
        try {
            return Optional.of(route.identity().get().getKeyManagerFactory(vertx).getKeyManagers());
        } catch (Exception e) {
            // Vert.x declares Exception here.
            throw new CallFailure("The client certificate or its key is not in PEM format: check the kubeconfig", false);
        }
    }

    @Override
    public void close() {
        vertx.close().toCompletionStage().toCompletableFuture().join();
        worker.shutdown();
    }
}
