package dev.podidentity.kubernetes;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.podidentity.agent.config.AgentConfig;
import dev.podidentity.agent.config.GoDuration;
import dev.podidentity.agent.observe.BuildInfo;
import io.fabric8.kubernetes.api.model.Container;
import io.fabric8.kubernetes.api.model.HTTPGetAction;
import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.api.model.NodeSelectorRequirement;
import io.fabric8.kubernetes.api.model.PodSpec;
import io.fabric8.kubernetes.api.model.Probe;
import io.fabric8.kubernetes.api.model.SecurityContext;
import io.fabric8.kubernetes.api.model.ServiceAccount;
import io.fabric8.kubernetes.api.model.apps.DaemonSet;
import io.smallrye.config.WithDefault;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.BiConsumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Checks what {@code kubectl apply -k kubernetes/base} sends against the Kubernetes API, the agent and its privileges. */
class BaseManifestTest {

    private static final Path BASE = Path.of("kubernetes/base");

    /** Fields whose values are maps with arbitrary keys. */
    private static final Set<String> FREE =
            Set.of("labels", "matchLabels", "annotations", "data", "requests", "limits");

    private static Manifests manifests;
    private static DaemonSet daemonSet;
    private static PodSpec pod;
    private static Container initialize;
    private static Container agent;

    @BeforeAll
    static void render() {
        manifests = Manifests.of(BASE);
        daemonSet = manifests.daemonSet();
        pod = manifests.pod();
        initialize = manifests.initialize();
        agent = manifests.agent();
    }

    @Test
    void isWhatTheApiHasAndNothingElse() {
        assertThat(manifests.objects().stream().map(HasMetadata::getKind))
                .containsExactlyInAnyOrder("ServiceAccount", "ConfigMap", "DaemonSet");
    }

    @Test
    void wouldNotKeepAFieldThatTheApiDoesNotHaveWhereverItStood() {
        // Given
        List<String> places = new ArrayList<>();

        // Then
        for (Map<String, Object> document : manifests.documents()) {
            eachMapping("", document, (place, mapping) -> {
                mapping.put("privilegeEscalation", true);
                assertThatThrownBy(() -> StrictModel.read(document)).as(place).hasMessageContaining("privilegeEscalation");
                mapping.remove("privilegeEscalation");
                places.add(place);
            });
        }
        assertThat(places).contains(".spec.template.spec.containers.securityContext.capabilities", ".metadata");
    }

    @Test
    void takesTheReferencesPlace() {
        assertThat(daemonSet.getMetadata().getName()).isEqualTo("eks-pod-identity-agent");
        assertThat(manifests.objects().stream().map(object -> object.getMetadata().getNamespace()))
                .containsOnly("kube-system");
        assertThat(daemonSet.getSpec().getSelector().getMatchLabels())
                .containsExactlyEntriesOf(Map.of("app.kubernetes.io/name", "eks-pod-identity-agent"));
        assertThat(daemonSet.getSpec().getTemplate().getMetadata().getLabels())
                .containsAllEntriesOf(daemonSet.getSpec().getSelector().getMatchLabels());
    }

    @Test
    void letsTheAgentListenOnPort80AndDoNothingElse() {
        SecurityContext security = agent.getSecurityContext();
        assertThat(security.getCapabilities().getAdd()).containsExactly("NET_BIND_SERVICE");
        assertThat(security.getRunAsNonRoot()).isTrue();
        assertThat(security.getRunAsUser()).isEqualTo(65532);
        assertThat(security.getRunAsGroup()).isEqualTo(65532);
    }

    @Test
    void letsTheInitContainerSetUpTheNetworkAndDoNothingElse() {
        SecurityContext security = initialize.getSecurityContext();
        assertThat(security.getCapabilities().getAdd()).containsExactly("NET_ADMIN");
        assertThat(security.getRunAsUser()).isZero();
        assertThat(security.getRunAsGroup()).isZero();
        assertThat(initialize.getArgs()).containsExactly("initialize");
    }

    @Test
    void givesNeitherContainerMore() {
        assertThat(containers()).allSatisfy(container -> {
            SecurityContext security = container.getSecurityContext();
            assertThat(security.getCapabilities().getDrop()).containsExactly("ALL");
            assertThat(security.getPrivileged()).isFalse();
            assertThat(security.getAllowPrivilegeEscalation()).isFalse();
            assertThat(security.getReadOnlyRootFilesystem()).isTrue();
            assertThat(security.getSeccompProfile()).as("inherited from the pod").isNull();
            assertThat(container.getVolumeMounts()).isEmpty();
            assertThat(container.getCommand()).as("the image's entry point is used").isEmpty();
        });
        assertThat(pod.getSecurityContext().getSeccompProfile().getType()).isEqualTo("RuntimeDefault");
        assertThat(pod.getVolumes()).isEmpty();
        assertThat(pod.getHostPID()).isNull();
        assertThat(pod.getHostIPC()).isNull();
    }

    @Test
    void mountsNoApiTokenAndSeesNoServices() {
        assertThat(manifests.only(ServiceAccount.class).getAutomountServiceAccountToken()).isFalse();
        assertThat(manifests.only(ServiceAccount.class).getMetadata().getName()).isEqualTo(pod.getServiceAccountName());
        assertThat(pod.getAutomountServiceAccountToken()).isFalse();
        assertThat(pod.getEnableServiceLinks()).isFalse();
    }

    @Test
    void runsOnEveryNodeThatNeedsItBeforeAnythingElse() {
        assertThat(pod.getTolerations()).singleElement().satisfies(toleration -> {
            assertThat(toleration.getOperator()).isEqualTo("Exists");
            assertThat(toleration.getKey()).isNull();
            assertThat(toleration.getEffect()).isNull();
        });
        assertThat(pod.getPriorityClassName()).isEqualTo("system-node-critical");
        assertThat(pod.getHostNetwork()).isTrue();
        assertThat(pod.getDnsPolicy()).as("CoreDNS may not be running yet").isEqualTo("Default");
        assertThat(pod.getAffinity().getNodeAffinity().getRequiredDuringSchedulingIgnoredDuringExecution().getNodeSelectorTerms())
                .singleElement()
                .satisfies(term -> assertThat(term.getMatchExpressions()).containsExactlyInAnyOrder(
                        new NodeSelectorRequirement("kubernetes.io/os", "In", List.of("linux")),
                        new NodeSelectorRequirement("kubernetes.io/arch", "In", List.of("amd64", "arm64")),
                        new NodeSelectorRequirement(
                                "eks.amazonaws.com/compute-type", "NotIn", List.of("fargate", "auto", "hybrid"))));
    }

    /** The API requires exactly one of {@code maxSurge} and {@code maxUnavailable} to be nonzero. */
    @Test
    void startsTheNewAgentBesideTheOldOneOnATenthOfTheNodesAtATime() {
        assertThat(daemonSet.getSpec().getUpdateStrategy().getType()).isEqualTo("RollingUpdate");
        assertThat(daemonSet.getSpec().getUpdateStrategy().getRollingUpdate().getMaxSurge().getStrVal()).isEqualTo("10%");
        assertThat(daemonSet.getSpec().getUpdateStrategy().getRollingUpdate().getMaxUnavailable().getIntVal()).isZero();
    }

    @Test
    void claimsNoPortOfTheNodeAsTwoAgentsCouldNotRunThereThen() throws ReflectiveOperationException {
        assertThat(containers()).allSatisfy(container -> assertThat(container.getPorts()).isEmpty());
        assertThat(daemonSet.getSpec().getTemplate().getMetadata().getAnnotations())
                .containsEntry("prometheus.io/scrape", "true")
                .containsEntry("prometheus.io/port", initial("metricsPort"));
    }

    @Test
    void probesWhereTheAgentAnswersProbes() throws ReflectiveOperationException {
        // Given
        int port = Integer.parseInt(initial("probePort"));

        // Then
        assertThat(Stream.of(agent.getLivenessProbe(), agent.getReadinessProbe()).map(Probe::getHttpGet))
                .allSatisfy(get -> {
                    assertThat(get.getHost()).isEqualTo("localhost");
                    assertThat(get.getPort().getIntVal()).isEqualTo(port);
                })
                .extracting(HTTPGetAction::getPath)
                .containsExactly("/healthz", "/readyz");
    }

    /** An HTTP probe could reach the old agent, which Kubernetes would then stop before the new agent serves. */
    @Test
    void holdsTheNewAgentForStartedWhenItListensItselfAndGivesItTimeToFindCredentials()
            throws ReflectiveOperationException, IOException {
        // Given
        Probe startup = agent.getStartupProbe();

        // Then
        assertThat(startup.getExec().getCommand()).containsExactly("/eks-pod-identity-agent", "probe");
        assertThat(Files.readString(Path.of("image/Dockerfile"))).contains("ENTRYPOINT [\"/eks-pod-identity-agent\"]");
        assertThat(startup.getHttpGet()).isNull();
        assertThat(Duration.ofSeconds((long) startup.getPeriodSeconds() * startup.getFailureThreshold()))
                .isGreaterThan(GoDuration.parse(initial("startupGrace")));
    }

    @Test
    void waitsLongerForTheAgentToStopThanItTakes() throws ReflectiveOperationException {
        // Given
        Duration stop = GoDuration.parse(initial("shutdownTimeout"));

        // Then
        assertThat(Duration.ofSeconds(pod.getTerminationGracePeriodSeconds())).isGreaterThanOrEqualTo(stop.plusSeconds(5));
    }

    @Test
    void asksForMemoryWithALimitAndForTheProcessorWithoutOne() {
        assertThat(containers()).allSatisfy(container -> {
            assertThat(container.getResources().getRequests()).containsOnlyKeys("cpu", "memory");
            assertThat(container.getResources().getLimits()).containsOnlyKeys("memory");
            assertThat(container.getResources()).isEqualTo(agent.getResources());
        });
    }

    @Test
    void setsOnlyWhatTheAgentHas() {
        // Given
        List<String> flags = Manifests.properties().map(name -> "--" + name).toList();

        // Then
        assertThat(agent.getArgs()).startsWith("server");
        assertThat(agent.getArgs().stream().filter(argument -> argument.startsWith("-")).map(flag -> flag.split("=")[0]))
                .isSubsetOf(flags);
        assertThat(manifests.environment().keySet()).isSubsetOf(Manifests.variables());
        assertThat(agent.getEnv()).isEmpty();
    }

    @Test
    void leavesTheClustersNameToTheOneWhoKnowsIt() {
        assertThat(manifests.environment()).containsExactlyEntriesOf(Map.of("AGENT_CLUSTER_NAME", ""));
    }

    @Test
    void runsTheImageOfThisVersionFromNoRegistry() {
        assertThat(containers()).extracting(Container::getImage)
                .containsOnly("eks-pod-identity-agent:" + BuildInfo.current().version());
    }

    @Test
    void isCompletedByTheFirstOverlayOfTheReadme(@TempDir Path directory) throws IOException {
        // Given
        Matcher overlay = Pattern.compile("(?s)```bash\n[^\n]*<<'END'[^\n]*\n(.*?)END\n```")
                .matcher(Files.readString(Path.of("kubernetes/README.md")));
        assertThat(overlay.find()).isTrue();
        Path eks = directory.toRealPath().relativize(Path.of("kubernetes/eks").toRealPath());
        Files.writeString(directory.resolve("kustomization.yaml"), overlay.group(1).replace("../eks", eks.toString()));

        // When
        Manifests completed = Manifests.of(directory);

        // Then
        assertThat(completed.environment()).containsExactlyEntriesOf(Map.of("AGENT_CLUSTER_NAME", "my-cluster"));
        assertThat(List.of(completed.initialize(), completed.agent()))
                .extracting(Container::getImage)
                .containsOnly("my-repository/eks-pod-identity-agent:" + BuildInfo.current().version());
    }

    private static List<Container> containers() {
        return List.of(initialize, agent);
    }

    private static String initial(String property) throws ReflectiveOperationException {
        return AgentConfig.class.getMethod(property).getAnnotation(WithDefault.class).value();
    }

    private static void eachMapping(String place, Object node, BiConsumer<String, Map<String, Object>> action) {
        if (node instanceof Map<?, ?>) {
            Map<String, Object> mapping = Kustomize.mapping(node);
            action.accept(place, mapping);
            new LinkedHashMap<>(mapping).forEach((key, value) -> {
                if (!FREE.contains(key)) {
                    eachMapping(place + '.' + key, value, action);
                }
            });
        } else if (node instanceof List<?> list) {
            list.forEach(element -> eachMapping(place, element, action));
        }
    }
}
