package dev.podidentity.agent.realcluster;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Checks that a real API server accepts the manifests. */
@NeedsRealCluster
class ManifestsIT {

    /** Returns the overlays that {@code kubernetes/README.md} tells users to write, each with its purpose. */
    static Stream<Arguments> overlays() {
        return Stream.of(
                Arguments.of("base", "resources: [%s/base]"),
                Arguments.of("nodes on EC2", "resources: [%s/eks]"),
                Arguments.of("nodes without IPv6", "resources: [%s/ipv4-only]"),
                Arguments.of("hybrid nodes", "resources: [%s/hybrid]"),
                Arguments.of("hybrid nodes with Bottlerocket", "resources: [%s/hybrid-bottlerocket]"),
                Arguments.of("an isolated region", "resources: [%s/isolated-region]"),
                Arguments.of("monitoring", "resources: [%s/eks, %s/prometheus]"),
                Arguments.of("everything", "resources: [%s/verified]"),
                Arguments.of("neither Events nor the taint", "resources: [%s/eks]\ncomponents: [%s/verified/core]"),
                Arguments.of("the taint alone", "resources: [%s/eks]\ncomponents: [%s/verified/core, %s/verified/startup-taint]"),
                Arguments.of("token reviews", "resources: [%s/verified]\ncomponents: [%s/verified/token-review]"),
                Arguments.of("verified workloads on hybrid nodes",
                        "resources: [%s/hybrid]\ncomponents: [%s/verified/core, %s/verified/events]"),
                Arguments.of("verified workloads in an isolated region without IPv6",
                        "resources: [%s/verified]\ncomponents: [%s/isolated-region/component, %s/ipv4-only/component]"));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("overlays")
    void areTakenWithoutAWarning(String what, String overlay, RealCluster cluster) {
        // Given
        PrometheusOperator.define(cluster.api());
        Path directory = overlay(cluster, overlay);

        // When
        ApiServerProcess.Kubectl applied = cluster.api().tryKubectl(
                "apply", "--dry-run=server", "--warnings-as-errors", "-k", directory.toString());

        // Then
        assertThat(applied.exitCode()).as(applied.output()).isZero();
        assertThat(applied.output()).doesNotContainIgnoringCase("warning")
                .contains("daemonset.apps/eks-pod-identity-agent", "(server dry run)");
    }

    @Test
    void monitorEachDaemonSetOfTheOverlays(RealCluster cluster) {
        // Given
        PrometheusOperator.define(cluster.api());

        // When
        ApiServerProcess.Kubectl applied =
                cluster.api().tryKubectl("apply", "--dry-run=server", "--warnings-as-errors", "-k", "kubernetes/prometheus");
        String selector = cluster.api().kubectl("kustomize", "kubernetes/prometheus");

        // Then
        assertThat(applied.exitCode()).as(applied.output()).isZero();
        assertThat(applied.output()).contains("podmonitor.", "prometheusrule.", "configmap/eks-pod-identity-agent-dashboard");
        assertThat(Stream.of("eks", "hybrid", "hybrid-bottlerocket").map(each -> ComparableObjects.read(
                        cluster.api().kubectl("kustomize", "kubernetes/" + each))))
                .allSatisfy(objects -> assertThat(objects.keySet().stream().filter(each -> each.startsWith("DaemonSet ")))
                        .singleElement()
                        .satisfies(name -> assertThat(selector).contains("- " + name.replace("DaemonSet ", "") + "\n")));
    }

    /** Detects fields that the API server sets by default, because these would belong to another field manager. */
    @ParameterizedTest
    @ValueSource(strings = {"resources: [%s/base]", "resources: [%s/verified]", "resources: [%s/hybrid-bottlerocket]"})
    void aServerSideApplyAfterAClientSideOneDoesNotConflict(String overlay, RealCluster cluster) {
        // Given
        Path directory = overlay(cluster, overlay);
        cluster.api().kubectl("apply", "-k", directory.toString());

        // When
        ApiServerProcess.Kubectl applied =
                cluster.api().tryKubectl("apply", "--server-side", "--warnings-as-errors", "-k", directory.toString());

        // Then
        assertThat(applied.exitCode()).as(applied.output()).isZero();
        assertThat(applied.output()).contains("serverside-applied");
    }

    private static Path overlay(RealCluster cluster, String content) {
        return Overlays.write(cluster, content, List.of("AGENT_CLUSTER_NAME=my-cluster"));
    }
}
