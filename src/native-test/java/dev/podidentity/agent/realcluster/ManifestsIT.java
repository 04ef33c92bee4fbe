package dev.podidentity.agent.realcluster;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What the API server itself says of the manifests. */
@NeedsRealCluster
class ManifestsIT {

    private static final Path MANIFESTS = Path.of("kubernetes").toAbsolutePath();

    /** The overlays that {@code kubernetes/README.md} tells people to write, by what they are for. */
    static Stream<Arguments> overlays() {
        return Stream.of(
                Arguments.of("base", "resources: [%s/base]"),
                Arguments.of("everything", "resources: [%s/verified]"),
                Arguments.of("neither Events nor the taint", "resources: [%s/verified/core]"),
                Arguments.of("the taint alone", "resources: [%s/verified/core]\ncomponents: [%s/verified/startup-taint]"),
                Arguments.of("token reviews", "resources: [%s/verified]\ncomponents: [%s/verified/token-review]"));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("overlays")
    void areTakenWithoutAWarning(String what, String overlay, RealCluster cluster) {
        // Given
        Path directory = overlay(cluster, what, overlay);

        // When
        ApiServerProcess.Kubectl applied = cluster.api().tryKubectl(
                "apply", "--dry-run=server", "--warnings-as-errors", "-k", directory.toString());

        // Then
        assertThat(applied.exitCode()).as(applied.output()).isZero();
        assertThat(applied.output()).doesNotContainIgnoringCase("warning")
                .contains("daemonset.apps/eks-pod-identity-agent", "(server dry run)");
    }

    /** A field that the API server fills in itself would be another manager's. */
    @ParameterizedTest
    @ValueSource(strings = {"resources: [%s/base]", "resources: [%s/verified]"})
    void aServerSideApplyAfterAClientSideOneDoesNotConflict(String overlay, RealCluster cluster) {
        // Given
        Path directory = overlay(cluster, "applied-twice-" + overlay.hashCode(), overlay);
        cluster.api().kubectl("apply", "-k", directory.toString());

        // When
        ApiServerProcess.Kubectl applied =
                cluster.api().tryKubectl("apply", "--server-side", "--warnings-as-errors", "-k", directory.toString());

        // Then
        assertThat(applied.exitCode()).as(applied.output()).isZero();
        assertThat(applied.output()).contains("serverside-applied");
    }

    private static Path overlay(RealCluster cluster, String name, String content) {
        try {
            Path directory = Files.createDirectories(
                    cluster.api().directory().toRealPath().resolve("overlays").resolve(name.replace(' ', '-')));
            // kustomize takes no absolute paths.
            String manifests = directory.relativize(MANIFESTS.toRealPath()).toString();
            Files.writeString(directory.resolve("kustomization.yaml"), content.replace("%s", manifests) + """

                    namespace: kube-system
                    configMapGenerator:
                      - name: eks-pod-identity-agent
                        namespace: kube-system
                        behavior: merge
                        literals:
                          - AGENT_CLUSTER_NAME=my-cluster
                    """);
            return directory;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
