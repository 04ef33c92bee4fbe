package dev.podidentity.agent.cluster;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.apiserver.ApiServer;
import dev.podidentity.agent.observe.BuildInfo;
import dev.podidentity.agent.observe.Metrics;
import dev.podidentity.agent.testing.Certificates;
import dev.podidentity.agent.testing.CrudApiServer;
import dev.podidentity.agent.testing.LoopFixture;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.PodBuilder;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.vertx.core.http.HttpServerOptions;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Tests the watch against an API server that stores objects. */
class PodWatchCrudTest {

    private static final String NODE = "node-1";

    @TempDir
    private static Path pki;

    private static Certificates certificates;

    private final LoopFixture fixture = new LoopFixture();
    private final List<String> died = new CopyOnWriteArrayList<>();
    private final Map<String, String> uids = new ConcurrentHashMap<>();
    private CrudApiServer server;
    private ApiServer api;
    private PodWatch watch;

    @BeforeAll
    static void makeCertificates() throws IOException, InterruptedException {
        certificates = Certificates.make(pki, "ip:127.0.0.1");
        Files.writeString(pki.resolve("token"), "agent-token");
    }

    private void serve(boolean secure) {
        server = new CrudApiServer(secure ? certificates.server() : new HttpServerOptions());
        api = fixture.api(server.url(), pki);
        Metrics metrics = new Metrics(new SimpleMeterRegistry(), new BuildInfo("test"), fixture.time.clock());
        watch = new PodWatch(api, NODE, metrics, fixture.time.nanos(), fixture.time, () -> 0.5);
    }

    @AfterEach
    void close() {
        fixture.run(watch::close);
        fixture.close();
        server.close();
    }

    private void start() {
        fixture.run(() -> watch.start(died::add));
        fixture.until(watch::synced);
    }

    private boolean gone(String pod) {
        return fixture.call(() -> watch.gone(uid(pod), Optional.of(Instant.now())));
    }

    private String uid(String pod) {
        return uids.get(pod);
    }

    private void create(String name, String node, String phase) {
        Pod pod = new PodBuilder()
                .withNewMetadata().withName(name).withNamespace("shop").endMetadata()
                .withNewSpec().withNodeName(node).endSpec()
                .withNewStatus().withPhase(phase).endStatus()
                .build();
        // The server assigns the UID.
        uids.put(name, server.client().pods().inNamespace("shop").resource(pod).create().getMetadata().getUid());
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void followsThePodsOfItsNode(boolean secure) {
        // Given
        serve(secure);
        create("old", NODE, "Running");
        create("finished", NODE, "Succeeded");
        create("elsewhere", "node-2", "Running");
        start();

        // When
        create("young", NODE, "Pending");
        server.client().pods().inNamespace("shop").withName("elsewhere").delete();
        server.client().pods().inNamespace("shop").withName("old").delete();

        // Then
        fixture.until(() -> died.contains(uid("old")));
        assertThat(died).doesNotContain(uid("young"), uid("elsewhere"));
        assertThat(gone("old")).isTrue();
        assertThat(gone("young")).isFalse();
        assertThat(gone("elsewhere")).isFalse();
    }

    @ParameterizedTest
    @ValueSource(strings = {"Succeeded", "Failed"})
    void takesAPodThatFinishesForGone(String phase) {
        // Given
        serve(false);
        create("batch", NODE, "Running");
        start();

        // When
        server.client().pods().inNamespace("shop").withName("batch").editStatus(pod -> new PodBuilder(pod)
                .editStatus().withPhase(phase).endStatus().build());

        // Then
        fixture.until(() -> died.contains(uid("batch")));
        assertThat(gone("batch")).isTrue();
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void letsAPodLiveThatIsBeingDeleted(boolean secure) {
        // Given
        serve(secure);
        create("first", NODE, "Running");
        create("second", NODE, "Running");
        server.client().pods().inNamespace("shop").withName("first").edit(pod -> new PodBuilder(pod)
                .editMetadata().addToFinalizers("example.com/wait").endMetadata().build());
        start();

        // When
        server.client().pods().inNamespace("shop").withName("first").delete();
        server.client().pods().inNamespace("shop").withName("second").delete();

        // Then
        fixture.until(() -> died.contains(uid("second")));
        assertThat(gone("first")).isFalse();

        // When
        server.client().pods().inNamespace("shop").withName("first").edit(pod -> new PodBuilder(pod)
                .editMetadata().withFinalizers(List.of()).endMetadata().build());

        // Then
        fixture.until(() -> died.contains(uid("first")));
        assertThat(gone("first")).isTrue();
    }
}
