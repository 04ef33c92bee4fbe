package dev.podidentity.agent.cluster;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.podidentity.agent.testing.ScriptedServer;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.client.Config;
import io.fabric8.kubernetes.client.ConfigBuilder;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;
import io.fabric8.kubernetes.client.WatcherException;
import io.fabric8.kubernetes.client.informers.ResourceEventHandler;
import io.fabric8.kubernetes.client.informers.SharedIndexInformer;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.http.HttpServerResponse;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/**
 * Demonstrates the faults of the Kubernetes client library's informer, which are why the agent does not watch pods with it. A
 * failing test means that the library has fixed that fault. See docs/decisions/0008-api-server-client.md.
 */
class InformerTest {

    /** Long enough that a test exceeds it only if something is broken. */
    private static final long PATIENCE_SECONDS = 30;
    private static final int ATTEMPTS = 3;

    private final ScriptedServer server = new ScriptedServer();
    private final KubernetesClient client = new KubernetesClientBuilder()
            .withConfig(new ConfigBuilder(Config.empty())
                    .withMasterUrl(server.url().toString())
                    .withOnlyHttpWatches(true)
                    .withRequestRetryBackoffLimit(0)
                    .withWatchReconnectInterval(1)
                    .build())
            .build();

    @AfterEach
    void close() {
        client.close();
        server.close();
    }

    private void answerWatches(Consumer<HttpServerRequest> with) {
        server.answer(request -> {
            if (request.getParam("watch") == null) {
                request.response().end("{\"apiVersion\":\"v1\",\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"100\"},"
                        + "\"items\":[]}");
            } else {
                with.accept(request);
            }
        });
    }

    private static String added(String pod, String annotation) {
        return "{\"type\":\"ADDED\",\"object\":{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"namespace\":\"shop\","
                + "\"name\":\"" + pod + "\",\"resourceVersion\":\"101\",\"annotations\":{\"note\":\"" + annotation + "\"}}}}\n";
    }

    private SharedIndexInformer<Pod> informer(Consumer<Pod> added) {
        return client.pods().inAnyNamespace().runnableInformer(0).addEventHandler(new ResourceEventHandler<>() {
            @Override
            public void onAdd(Pod pod) {
                added.accept(pod);
            }

            @Override
            public void onUpdate(Pod before, Pod pod) { }

            @Override
            public void onDelete(Pod pod, boolean unknown) { }
        });
    }

    /** The informer decodes each chunk of the response separately, and treats unused space in the decoder's array as text. */
    @Test
    void endsItsWatchAtTheEventAfterOneWithALetterThatIsNotAscii() {
        // Given
        CompletableFuture<HttpServerResponse> watching = new CompletableFuture<>();
        answerWatches(request -> {
            request.response().setChunked(true).write(added("first", "Zürich"));
            watching.complete(request.response());
        });
        SharedIndexInformer<Pod> informer = informer(pod -> watching.join().write(added("second", "Zurich")));

        // When
        informer.start();

        // Then
        assertThatThrownBy(() -> informer.stopped().toCompletableFuture().get(PATIENCE_SECONDS, TimeUnit.SECONDS))
                .hasCauseInstanceOf(WatcherException.class);
        assertThat(informer.getStore().listKeys()).containsExactly("shop/first");
    }

    /** A server whose storage was restored from a backup rejects newer resource versions in this way. */
    @Test
    void asksForAVersionThatIsRefusedAgainAndAgainAndNeverLists() throws Exception {
        // Given
        CompletableFuture<Void> asked = new CompletableFuture<>();
        answerWatches(request -> {
            request.response().setStatusCode(400).end();
            if (server.received().size() > ATTEMPTS) {
                asked.complete(null);
            }
        });

        // When
        informer(pod -> { }).start();
        asked.get(PATIENCE_SECONDS, TimeUnit.SECONDS);

        // Then
        assertThat(server.received()).filteredOn(request -> request.getParam("watch") == null).hasSize(1);
        assertThat(server.received()).filteredOn(request -> request.getParam("watch") != null)
                .extracting(request -> request.getParam("resourceVersion"))
                .containsOnly("100");
    }
}
