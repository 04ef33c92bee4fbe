package dev.podidentity.kubernetes;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.entry;

import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.api.model.NodeSelectorRequirement;
import io.fabric8.kubernetes.api.model.SecurityContext;
import io.fabric8.kubernetes.api.model.Volume;
import io.fabric8.kubernetes.api.model.VolumeMount;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Checks what the overlays for other nodes add to the base, and that they change nothing else. */
class OverlayManifestTest {

    private static final Path KUBERNETES = Path.of("kubernetes");
    private static final String COMPUTE_TYPE = "eks.amazonaws.com/compute-type";

    private static Manifests base;

    @BeforeAll
    static void render() {
        base = overlay("base");
    }

    @Test
    void nodesOnEc2TakeTheBaseAsItIs() {
        assertThat(overlay("eks").documents()).isEqualTo(base.documents());
    }

    @Test
    void nodesWithoutIpv6AreAskedAtOneAddress() {
        // When
        Manifests overlay = overlay("ipv4-only");

        // Then
        assertThat(overlay.environment()).containsOnly(
                entry("AGENT_CLUSTER_NAME", ""), entry("AGENT_BIND_HOSTS", "169.254.170.23"));
        assertThat(overlay.pod().getVolumes()).isEmpty();
    }

    @Test
    void anIsolatedRegionsCertificateAuthoritiesAreTheNodes() {
        // When
        Manifests overlay = overlay("isolated-region");

        // Then
        String file = overlay.environment().get("AWS_CA_BUNDLE");
        assertThat(overlay.agent().getVolumeMounts()).singleElement().satisfies(mount -> {
            assertThat(mount.getMountPath()).isEqualTo(file);
            assertThat(mount.getReadOnly()).isTrue();
        });
        assertThat(overlay.pod().getVolumes()).singleElement().satisfies(volume -> {
            assertThat(volume.getHostPath().getPath()).isEqualTo("/etc/pki/tls/certs/ca-bundle.crt");
            assertThat(volume.getHostPath().getType()).isEqualTo("File");
        });
        assertThat(overlay.initialize().getVolumeMounts()).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({"hybrid, /eks-hybrid/.aws, DoesNotExist", "hybrid-bottlerocket, /var/eks-hybrid/.aws, Exists"})
    void hybridNodesHaveADaemonSetOfTheirOwnThatReadsTheirCredentials(String name, String directory, String bottlerocket) {
        // When
        Manifests overlay = overlay(name);

        // Then
        assertThat(overlay.daemonSet().getMetadata().getName()).isEqualTo("eks-pod-identity-agent-" + name);
        assertThat(overlay.daemonSet().getSpec().getSelector().getMatchLabels())
                .containsExactly(entry("app.kubernetes.io/name", "eks-pod-identity-agent-" + name));
        assertThat(overlay.daemonSet().getSpec().getTemplate().getMetadata().getLabels())
                .containsAllEntriesOf(overlay.daemonSet().getSpec().getSelector().getMatchLabels());
        assertThat(overlay.pod().getServiceAccountName()).isEqualTo("eks-pod-identity-agent");
        assertThat(overlay.pod().getAffinity().getNodeAffinity().getRequiredDuringSchedulingIgnoredDuringExecution()
                        .getNodeSelectorTerms())
                .singleElement()
                .satisfies(term -> assertThat(term.getMatchExpressions())
                        .contains(new NodeSelectorRequirement(COMPUTE_TYPE, "In", List.of("hybrid")),
                                new NodeSelectorRequirement("os.bottlerocket.aws/variant", bottlerocket, List.of()),
                                new NodeSelectorRequirement("os.bottlerocket.aws/version", bottlerocket, List.of())));
        Volume volume = overlay.pod().getVolumes().get(0);
        assertThat(volume.getHostPath().getPath()).isEqualTo(directory);
        assertThat(volume.getHostPath().getType()).isEqualTo("Directory");
        VolumeMount mount = overlay.agent().getVolumeMounts().get(0);
        assertThat(mount.getName()).isEqualTo(volume.getName());
        assertThat(mount.getReadOnly()).isTrue();
        assertThat(overlay.environment()).containsOnly(
                entry("AGENT_CLUSTER_NAME", ""),
                entry("AWS_REGION", ""),
                entry("AGENT_ROTATE_CREDENTIALS", "true"),
                entry("AWS_EC2_METADATA_DISABLED", "true"),
                entry("AWS_SHARED_CREDENTIALS_FILE", mount.getMountPath() + "/credentials"));
    }

    /** Only root can read the credentials file. */
    @ParameterizedTest
    @ValueSource(strings = {"hybrid", "hybrid-bottlerocket"})
    void hybridNodesAgentIsRootWithNothingButTheRightToBindPort80(String name) {
        // When
        SecurityContext security = overlay(name).agent().getSecurityContext();

        // Then
        assertThat(security.getRunAsUser()).isZero();
        assertThat(security.getRunAsGroup()).isZero();
        assertThat(security.getCapabilities()).isEqualTo(base.agent().getSecurityContext().getCapabilities());
        assertThat(security.getPrivileged()).isFalse();
        assertThat(security.getAllowPrivilegeEscalation()).isFalse();
        assertThat(security.getReadOnlyRootFilesystem()).isTrue();
    }

    @Test
    void onlyBottlerocketsSelinuxHasToBeToldToLetTheAgentReadTheFile() {
        assertThat(overlay("hybrid-bottlerocket").agent().getSecurityContext().getSeLinuxOptions().getType()).isEqualTo("spc_t");
        assertThat(overlay("hybrid").agent().getSecurityContext().getSeLinuxOptions()).isNull();
    }

    @Test
    void canBeCombinedWithVerifiedWorkloads(@TempDir Path directory) throws IOException {
        // Given
        Path relative = directory.toRealPath().relativize(KUBERNETES.toRealPath());
        Files.writeString(directory.resolve("kustomization.yaml"), """
                resources: [%s/hybrid]
                components: [%s/verified/core, %s/verified/startup-taint, %s/isolated-region/component]
                """.replace("%s", relative.toString()));

        // When
        Manifests combined = Manifests.of(directory);

        // Then
        assertThat(combined.daemonSet().getMetadata().getName()).isEqualTo("eks-pod-identity-agent-hybrid");
        assertThat(combined.daemonSet().getSpec()).isNotNull().satisfies(spec ->
                assertThat(spec.getTemplate().getMetadata().getLabels())
                        .containsAllEntriesOf(spec.getSelector().getMatchLabels()));
        assertThat(combined.pod().getVolumes()).extracting(Volume::getName)
                .containsExactlyInAnyOrder("aws-credentials", "api-token", "keys", "ca-bundle");
        assertThat(combined.environment()).containsKeys(
                "AGENT_ROTATE_CREDENTIALS", "AGENT_TOKEN_VERIFICATION", "AGENT_STARTUP_TAINT", "AWS_CA_BUNDLE");
    }

    @ParameterizedTest
    @ValueSource(strings = {"eks", "ipv4-only", "hybrid", "hybrid-bottlerocket", "isolated-region", "verified"})
    void areWhatTheApiHasAndSetWhatTheAgentHas(String name) {
        // When
        Manifests overlay = overlay(name);

        // Then
        assertThat(overlay.objects()).extracting(HasMetadata::getKind).contains("ServiceAccount", "ConfigMap", "DaemonSet");
        assertThat(overlay.environment().keySet().stream().filter(variable -> !variable.startsWith("AWS_")))
                .isSubsetOf(Manifests.variables());
    }

    @Test
    void prometheusFindsTheAgentOfEachKindOfNodeOnThePortOfItsAnnotation() {
        // When
        Map<String, Object> monitor = Kustomize.render(KUBERNETES.resolve("prometheus")).stream()
                .filter(object -> object.get("kind").equals("PodMonitor"))
                .findFirst()
                .orElseThrow();

        // Then
        String port = base.daemonSet().getSpec().getTemplate().getMetadata().getAnnotations().get("prometheus.io/port");
        List<String> names = new ArrayList<>();
        for (String name : List.of("eks", "hybrid", "hybrid-bottlerocket")) {
            names.add(overlay(name).daemonSet().getSpec().getSelector().getMatchLabels().get("app.kubernetes.io/name"));
        }
        assertThat(monitor.toString()).contains("values=" + names, "replacement=$1:" + port, "replacement=[$1]:" + port);
    }

    @Test
    void areAllInTheReadme() throws IOException {
        // Given
        String readme = Files.readString(KUBERNETES.resolve("README.md"));

        // Then
        try (Stream<Path> directories = Files.list(KUBERNETES)) {
            assertThat(directories.filter(Files::isDirectory).map(each -> each.getFileName().toString())
                            .filter(each -> !List.of("base", "chart").contains(each)))
                    .hasSizeGreaterThan(5)
                    .allSatisfy(each -> assertThat(readme).contains("`../" + each + "`"));
        }
    }

    private static Manifests overlay(String name) {
        return Manifests.of(KUBERNETES.resolve(name));
    }
}
