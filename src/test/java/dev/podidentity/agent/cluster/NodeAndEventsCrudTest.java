package dev.podidentity.agent.cluster;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.apiserver.ApiServer;
import dev.podidentity.agent.eksauth.PermanentFailure;
import dev.podidentity.agent.eksauth.PermanentFailure.Reason;
import dev.podidentity.agent.observe.BuildInfo;
import dev.podidentity.agent.observe.Metrics;
import dev.podidentity.agent.testing.CrudApiServer;
import dev.podidentity.agent.testing.FakeTime;
import dev.podidentity.agent.testing.LoopFixture;
import dev.podidentity.agent.token.VerifiedClaims;
import io.fabric8.kubernetes.api.model.Event;
import io.fabric8.kubernetes.api.model.NodeBuilder;
import io.fabric8.kubernetes.api.model.Taint;
import io.fabric8.kubernetes.api.model.TaintBuilder;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.vertx.core.http.HttpServerOptions;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Tests the startup taint and Events against an API server that stores objects. */
class NodeAndEventsCrudTest {

    private static final String KEY = "agent.example.com/not-ready";
    private static final Taint OURS = new TaintBuilder().withKey(KEY).withEffect("NoSchedule").build();
    private static final Taint OTHER = new TaintBuilder()
            .withKey("node.kubernetes.io/not-ready")
            .withEffect("NoExecute")
            .withTimeAdded("2026-01-01T00:00:00Z")
            .build();

    private final LoopFixture fixture = new LoopFixture();
    private final CrudApiServer server = new CrudApiServer(new HttpServerOptions());
    private final ApiServer api = fixture.api(server.url());
    private final SimpleMeterRegistry registry = new SimpleMeterRegistry();
    private final Metrics metrics = new Metrics(registry, new BuildInfo("1"), fixture.time.clock());
    /** The startup taint's own clock, which can advance without causing timeouts of its calls. Accessed only on the loop. */
    private final FakeTime pauses = new FakeTime();

    @AfterEach
    void close() {
        fixture.close();
        server.close();
    }

    @Test
    void takesTheTaintOffItsNodeAndNoOther() {
        // Given
        create("node-1", OTHER, OURS);
        create("node-2", OURS);

        // When
        start();
        untilDone();

        // Then
        assertThat(taints("node-1")).containsExactly(OTHER);
        assertThat(taints("node-2")).containsExactly(OURS);
    }

    @Test
    void takesTheLastTaintOff() {
        create("node-1", OURS);

        start();
        untilDone();

        assertThat(taints("node-1")).isEmpty();
    }

    @Test
    void keepsATaintThatSomebodyAddsBetweenReadingAndWriting() {
        // Given: the second check of whether the agent serves comes after the node is read
        create("node-1", OURS);
        int[] asked = {0};

        // When
        fixture.run(() -> new StartupTaint(
                        api,
                        "node-1",
                        KEY,
                        () -> {
                            asked[0]++;
                            if (asked[0] == 2) {
                                edit("node-1", OURS, OTHER);
                            }
                            return true;
                        },
                        metrics,
                        pauses,
                        () -> 0)
                .start());
        fixture.until(() -> asked[0] == 2);
        // The mock never responds to a patch that it cannot apply; a real server responds with 422.
        fixture.advance(ApiServer.TIMEOUT);
        fixture.until(() -> pauses.pending() == 1);
        fixture.run(() -> pauses.advance(Duration.ofSeconds(1)));
        untilDone();

        // Then
        assertThat(asked[0]).as("checks whether the agent serves, two per read of the node").isEqualTo(4);
        assertThat(taints("node-1")).containsExactly(OTHER);
    }

    @Test
    void putsAnEventBesideThePod() {
        // Given
        EventRecorder recorder = new EventRecorder(
                api, "prod", Optional.of("node-1"), metrics, fixture.time.clock(), fixture.time.nanos(), () -> 0);
        VerifiedClaims pod = new VerifiedClaims("i", "shop", "cart", "sa-uid", "cart-1", "pod-uid", Optional.empty());

        // When
        fixture.run(() -> recorder.credentialsFailed(
                pod, new PermanentFailure(Reason.NO_ASSOCIATION, "remedy")));
        fixture.until(() -> registry.get("pod_identity_events").tag("result", "created").counter().count() == 1);

        // Then
        List<Event> events = server.client().v1().events().inNamespace("shop").list().getItems();
        assertThat(events).singleElement().satisfies(event -> {
            assertThat(event.getMetadata().getName()).startsWith("cart-1.");
            assertThat(event.getAdditionalProperties()).as("fields that the API does not define").isEmpty();
            assertThat(event.getInvolvedObject().getUid()).isEqualTo("pod-uid");
            assertThat(event.getInvolvedObject().getKind()).isEqualTo("Pod");
            assertThat(event.getReason()).isEqualTo("CredentialsNoAssociation");
            assertThat(event.getType()).isEqualTo("Warning");
            assertThat(event.getReportingComponent()).isEqualTo("eks-pod-identity-agent");
            assertThat(event.getReportingInstance()).isEqualTo("node-1");
            assertThat(event.getSource().getHost()).isEqualTo("node-1");
            assertThat(event.getFirstTimestamp()).isEqualTo("2026-01-01T00:00:00Z").isEqualTo(event.getLastTimestamp());
            assertThat(event.getCount()).isEqualTo(1);
        });
    }

    private void start() {
        fixture.run(() ->
                new StartupTaint(api, "node-1", KEY, () -> true, metrics, pauses, () -> 0).start());
    }

    private void create(String name, Taint... taints) {
        server.client().nodes().resource(new NodeBuilder()
                        .withNewMetadata().withName(name).endMetadata()
                        .withNewSpec().withTaints(taints).endSpec()
                        .build())
                .create();
    }

    private void edit(String name, Taint... taints) {
        server.client().nodes().withName(name).edit(node -> new NodeBuilder(node)
                .editSpec().withTaints(taints).endSpec()
                .build());
    }

    private List<Taint> taints(String name) {
        return Stream.of(server.client().nodes().withName(name).get())
                .flatMap(node -> node.getSpec().getTaints().stream())
                .toList();
    }

    private void untilDone() {
        fixture.until(() -> pending() == 0);
    }

    private double pending() {
        return registry.get("pod_identity_startup_taint_pending").gauge().value();
    }
}
