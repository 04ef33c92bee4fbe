package dev.podidentity.agent.realcluster;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.AgentProcess;
import io.fabric8.kubernetes.api.model.NodeBuilder;
import io.fabric8.kubernetes.api.model.Taint;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;

/**
 * Tests the removal of the startup taint under the admission policy that allows the agent no other change of its node.
 * {@link PolicyEnforcementIT} tests what the policy rejects.
 */
@NeedsRealCluster
class NodeTaintIT {

    private static final String KEY = "pods.eks.amazonaws.com/agent-not-ready";
    private static final Taint STARTUP = new Taint("NoSchedule", KEY, null, null);
    private static final Taint OTHER = new Taint("NoExecute", "example.com/other", "2026-01-01T00:00:00Z", "x");
    private static final Taint ANOTHER = new Taint("NoSchedule", "example.com/another", null, null);
    private static final int CHANGES = 30;

    private final RealCluster cluster;

    NodeTaintIT(RealCluster cluster) {
        this.cluster = cluster;
    }

    private static void awaitRemoved(AgentProcess agent) {
        agent.awaitLine(line -> line.contains("The startup taint was removed from this node"));
    }

    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void itIsRemovedAndTheOthersAreLeftAlone() {
        // Given
        RealNode node = cluster.node(OTHER, STARTUP, ANOTHER);
        List<Taint> others = node.taints().stream().filter(taint -> !taint.equals(STARTUP)).toList();
        assertThat(others).contains(OTHER, ANOTHER);

        // When
        try (AgentProcess agent = node.agent("--startup-taint", KEY)) {
            awaitRemoved(agent);

            // Then
            assertThat(node.taints()).containsExactlyElementsOf(others);
            assertThat(agent.metric("pod_identity_startup_taint_pending")).isZero();
            assertThat(cluster.api().agentsCalls("patch", node.name())).isOne();
        }
    }

    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void aNodeWithoutItIsNotChanged() {
        // Given
        RealNode node = cluster.node(OTHER);
        List<Taint> taints = node.taints();

        // When
        try (AgentProcess agent = node.agent("--startup-taint", KEY)) {
            agent.awaitLine(line -> line.contains("There is no startup taint on this node"));
        }

        // Then
        assertThat(node.taints()).isEqualTo(taints);
        assertThat(cluster.api().agentsCalls("patch", node.name())).isZero();
    }

    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void whatOthersChangeMeanwhileIsNotUndone() {
        // Given: a client that adds one taint after another
        RealNode node = cluster.node(STARTUP).mount();
        AtomicBoolean removed = new AtomicBoolean();
        CompletableFuture<Integer> changes = CompletableFuture.supplyAsync(() -> {
            int made = 0;
            while (made < CHANGES && !removed.get()) {
                Taint added = new Taint("NoSchedule", "example.com/number-" + made, null, null);
                cluster.administrator().nodes().withName(node.name()).edit(now ->
                        new NodeBuilder(now).editSpec().addToTaints(added).endSpec().build());
                made++;
            }
            return made;
        });

        // When
        try (AgentProcess agent = node.agent("--startup-taint", KEY)) {
            awaitRemoved(agent);
            removed.set(true);

            // Then
            int made = changes.join();
            assertThat(node.taints()).extracting(Taint::getKey)
                    .containsAll(IntStream.range(0, made).mapToObj(number -> "example.com/number-" + number).toList());
            assertThat(node.taints()).doesNotContain(STARTUP);
        } finally {
            removed.set(true);
        }
    }

    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void aNodeThatRegistersLateLosesItToo() {
        // Given
        RealNode node = cluster.unregisteredNode();
        try (AgentProcess agent = node.agent("--startup-taint", KEY)) {
            agent.awaitLine(line -> line.contains("The startup taint cannot be removed") && line.contains("HTTP 404")
                    && line.contains("check that the environment variable NODE_NAME"));

            // When
            cluster.register(node.name(), STARTUP, OTHER);

            // Then
            awaitRemoved(agent);
            assertThat(node.taints()).contains(OTHER).doesNotContain(STARTUP);
        }
    }
}
