package dev.podidentity.kubernetes;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.tuple;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import dev.podidentity.agent.config.AgentConfig;
import dev.podidentity.agent.config.VerificationMode;
import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.api.model.PodSecurityContext;
import io.fabric8.kubernetes.api.model.PodSpec;
import io.fabric8.kubernetes.api.model.ServiceAccount;
import io.fabric8.kubernetes.api.model.Volume;
import io.fabric8.kubernetes.api.model.VolumeMount;
import io.fabric8.kubernetes.api.model.VolumeProjection;
import io.fabric8.kubernetes.api.model.admissionregistration.v1.ValidatingAdmissionPolicy;
import io.fabric8.kubernetes.api.model.admissionregistration.v1.ValidatingAdmissionPolicyBinding;
import io.fabric8.kubernetes.api.model.admissionregistration.v1.ValidatingAdmissionPolicySpec;
import io.fabric8.kubernetes.api.model.admissionregistration.v1.Validation;
import io.fabric8.kubernetes.api.model.admissionregistration.v1.Variable;
import io.fabric8.kubernetes.api.model.rbac.ClusterRole;
import io.fabric8.kubernetes.api.model.rbac.ClusterRoleBinding;
import io.fabric8.kubernetes.api.model.rbac.PolicyRule;
import io.fabric8.kubernetes.api.model.rbac.Subject;
import io.smallrye.config.PropertiesConfigSource;
import io.smallrye.config.SmallRyeConfigBuilder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Checks that {@code kubectl apply -k kubernetes/verified} sends the base, what its features need, and no more. */
class VerifiedManifestTest {

    private static final Path KUBERNETES = Path.of("kubernetes");
    private static final String AGENT = "eks-pod-identity-agent";
    private static final int GROUP = 65532;
    private static final int GROUP_MAY_READ = 0440;

    private static Manifests base;
    private static Manifests verified;

    @BeforeAll
    static void render() {
        base = Manifests.of(KUBERNETES.resolve("base"));
        verified = Manifests.of(KUBERNETES.resolve("verified"));
    }

    /** Returns each feature, its file and everything that the file allows. */
    static Stream<Arguments> rules() {
        return Stream.of(
                arguments("keys", "core/keys.yaml", "nonResourceURLs=/openid/v1/jwks verbs=get"),
                arguments("pods", "core/pods.yaml", "apiGroups= resources=pods verbs=list,watch"),
                arguments("events", "events/role.yaml", "apiGroups= resources=events verbs=create"),
                arguments("startup-taint", "startup-taint/role.yaml", "apiGroups= resources=nodes verbs=get,patch"));
    }

    @ParameterizedTest
    @MethodSource("rules")
    void allowsEachFeatureWhatItNeedsInAFileOfItsOwn(String feature, String file, String rule) {
        String name = AGENT + '-' + feature;

        assertThat(KUBERNETES.resolve("verified").resolve(file)).content()
                .contains("kind: ClusterRole\n", "kind: ClusterRoleBinding\n")
                .containsPattern("(?s)^# --[a-z-]+.*name: " + name + "\n");
        assertThat(verified.all(ClusterRole.class))
                .filteredOn(role -> role.getMetadata().getName().equals(name))
                .singleElement()
                .satisfies(role -> assertThat(role.getRules()).extracting(VerifiedManifestTest::text).containsExactly(rule));
    }

    @Test
    void allowsNothingElse() {
        List<String> names = rules().map(row -> AGENT + '-' + row.get()[0]).toList();

        assertThat(verified.all(ClusterRole.class)).extracting(role -> role.getMetadata().getName())
                .containsExactlyInAnyOrderElementsOf(names);
        assertThat(verified.all(ClusterRole.class)).allSatisfy(role -> assertThat(role.getAggregationRule()).isNull());
        assertThat(verified.objects().stream().map(HasMetadata::getKind).collect(Collectors.toSet()))
                .containsExactlyInAnyOrder("ServiceAccount", "ConfigMap", "DaemonSet", "ClusterRole", "ClusterRoleBinding",
                        "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding");
    }

    /** Returns each policy and the resources that it restricts. */
    static Stream<Arguments> policies() {
        return Stream.of(
                arguments("events", List.of("events")),
                arguments("startup-taint", List.of("nodes", "nodes/*")));
    }

    @ParameterizedTest
    @MethodSource("policies")
    void enforcesAPolicyWhereRbacAllowsMoreThanTheAgentDoes(String feature, List<String> resources) {
        // Given
        String name = AGENT + '-' + feature;

        // When
        ValidatingAdmissionPolicySpec policy = policy(verified, name);

        // Then
        assertThat(policy.getFailurePolicy()).isEqualTo("Fail");
        assertThat(policy.getMatchConstraints().getResourceRules()).singleElement().satisfies(rule -> {
            assertThat(rule.getApiGroups()).containsExactly("");
            assertThat(rule.getApiVersions()).as("a wildcard would disable type checking").containsExactly("v1");
            assertThat(rule.getOperations()).containsExactly("*");
            assertThat(rule.getResources()).containsExactlyElementsOf(resources);
        });
        assertThat(verified.all(ValidatingAdmissionPolicyBinding.class))
                .filteredOn(binding -> binding.getSpec().getPolicyName().equals(name))
                .singleElement()
                .satisfies(binding -> {
                    assertThat(binding.getSpec().getValidationActions()).containsExactly("Deny");
                    assertThat(binding.getSpec().getMatchResources()).as("resources that would narrow the policy").isNull();
                });
        assertThat(policy.getValidations()).isNotEmpty().extracting(Validation::getMessage).doesNotContainNull();
    }

    @ParameterizedTest
    @MethodSource("policies")
    void concernsTheAgentsServiceAccountInAnyNamespaceAndNobodyElse(String feature) {
        // When
        Pattern username = username(policy(verified, AGENT + '-' + feature));

        // Then
        assertThat(Stream.of("kube-system", "pod-identity").map(namespace -> "system:serviceaccount:" + namespace + ':'
                        + verified.pod().getServiceAccountName()))
                .allMatch(name -> username.matcher(name).find());
        assertThat(Stream.of(
                        "kubernetes-admin",
                        "eks-pod-identity-agent",
                        "system:node:eks-pod-identity-agent",
                        "system:serviceaccount:kube-system:node-controller",
                        "system:serviceaccount:kube-system:my-eks-pod-identity-agent",
                        "system:serviceaccount:kube-system:eks-pod-identity-agent-2",
                        "system:serviceaccount:eks-pod-identity-agent:default",
                        "oidc:system:serviceaccount:kube-system:eks-pod-identity-agent"))
                .noneMatch(name -> username.matcher(name).find());
    }

    @Test
    void letsTheAgentRemoveTheTaintThatItIsToldToRemove() {
        assertTaint(verified, "pods.eks.amazonaws.com/agent-not-ready");
    }

    @Test
    void letsTheAgentPutOnPodsTheEventsThatTheManualNames() throws IOException {
        // Given
        List<String> reasons = Pattern.compile("(?m)^\\|( `Credentials.*?) \\|")
                .matcher(Files.readString(Path.of("docs/operations.md")))
                .results()
                .flatMap(row -> Stream.of(row.group(1).replaceAll("[` ]", "").split(",")))
                .toList();

        // When
        String policy = expressions(policy(verified, AGENT + "-events"));

        // Then
        Matcher prefix = Pattern.compile("object\\.\\?reason\\.orValue\\(\"\"\\)\\.startsWith\\(\"(\\w+)\"\\)").matcher(policy);
        assertThat(prefix.find()).isTrue();
        assertThat(reasons).hasSizeGreaterThan(5).allMatch(reason -> reason.startsWith(prefix.group(1)));
        assertThat(policy).contains(
                "object.source.?component.orValue(\"\") == \"" + AGENT + '"',
                "object.?reportingComponent.orValue(\"\") == \"" + AGENT + '"',
                "object.?type.orValue(\"\") == \"Warning\"",
                "object.involvedObject.?kind.orValue(\"\") == \"Pod\"");
    }

    @Test
    void allowsItToTheAgentsServiceAccountAlone() {
        assertBound(verified);
    }

    private static void assertBound(Manifests manifests) {
        ServiceAccount account = manifests.only(ServiceAccount.class);
        Subject agent = new Subject(
                null, "ServiceAccount", account.getMetadata().getName(), account.getMetadata().getNamespace());

        assertThat(manifests.pod().getServiceAccountName()).isEqualTo(account.getMetadata().getName());
        assertThat(manifests.all(ClusterRoleBinding.class)).allSatisfy(binding -> {
            assertThat(binding.getSubjects()).containsExactly(agent);
            assertThat(binding.getRoleRef().getApiGroup()).isEqualTo("rbac.authorization.k8s.io");
            assertThat(binding.getRoleRef().getKind()).isEqualTo("ClusterRole");
        });
        assertThat(manifests.all(ClusterRoleBinding.class)).extracting(binding -> binding.getRoleRef().getName())
                .containsExactlyInAnyOrderElementsOf(
                        manifests.all(ClusterRole.class).stream().map(role -> role.getMetadata().getName()).toList());
    }

    @Test
    void isTheBaseApartFromTheTokenTheKeysAndTheNodesName() {
        // Given
        PodSpec pod = verified.pod();
        PodSecurityContext security = pod.getSecurityContext();

        // Then
        assertThat(verified.agent().getEnv()).singleElement().satisfies(variable -> {
            assertThat(variable.getName()).isEqualTo("NODE_NAME");
            assertThat(variable.getValueFrom().getFieldRef().getFieldPath()).isEqualTo("spec.nodeName");
            assertThat(variable.getValueFrom().getFieldRef().getApiVersion()).as("the API server's default, set explicitly")
                    .isEqualTo("v1");
        });
        assertThat(verified.agent().getVolumeMounts()).extracting(VolumeMount::getName).containsExactly("api-token", "keys");
        assertThat(pod.getVolumes()).extracting(Volume::getName).containsExactlyInAnyOrder("api-token", "keys");
        assertThat(security.getFsGroup()).isEqualTo(GROUP);

        // When: the token, the keys and the node's name are removed
        Manifests rest = Manifests.of(KUBERNETES.resolve("verified"));
        PodSpec plain = rest.pod();
        plain.getSecurityContext().setFsGroup(null);
        plain.setVolumes(List.of());
        plain.getContainers().get(0).setEnv(List.of());
        plain.getContainers().get(0).setVolumeMounts(List.of());
        plain.getContainers().get(0).setEnvFrom(base.agent().getEnvFrom());

        // Then: the rest equals the base, including its security settings
        assertThat(plain).isEqualTo(base.pod());
        assertThat(rest.only(ServiceAccount.class)).isEqualTo(base.only(ServiceAccount.class));
    }

    @Test
    void mountsTheApiTokenIntoTheAgentsContainerAlone() {
        // Given
        Volume token = volume("api-token");
        VolumeMount mount = mount("api-token");
        List<VolumeProjection> sources = token.getProjected().getSources();

        // Then
        assertThat(verified.pod().getAutomountServiceAccountToken()).isFalse();
        assertThat(verified.only(ServiceAccount.class).getAutomountServiceAccountToken()).isFalse();
        assertThat(verified.initialize().getVolumeMounts()).isEmpty();
        assertThat(mount.getMountPath()).isEqualTo(read(verified).serviceAccountPath().toString());
        assertThat(mount.getReadOnly()).isTrue();
        assertThat(token.getProjected().getDefaultMode()).isEqualTo(GROUP_MAY_READ);
        assertThat(verified.agent().getSecurityContext().getRunAsGroup()).isEqualTo(GROUP);
        assertThat(sources).hasSize(2);
        assertThat(sources.get(0).getServiceAccountToken().getPath()).isEqualTo("token");
        assertThat(sources.get(0).getServiceAccountToken().getAudience()).as("the API server's default audience").isNull();
        assertThat(sources.get(0).getServiceAccountToken().getExpirationSeconds()).isEqualTo(3600);
        assertThat(sources.get(1).getConfigMap().getName()).isEqualTo("kube-root-ca.crt");
        assertThat(sources.get(1).getConfigMap().getItems()).extracting("key", "path")
                .containsExactly(tuple("ca.crt", "ca.crt"));
    }

    @Test
    void keepsTheLastGoodKeysWhereARestartOfTheContainerFindsThem() {
        assertThat(volume("keys").getEmptyDir().getMedium()).isEqualTo("Memory");
        assertThat(volume("keys").getEmptyDir().getSizeLimit().getNumericalAmount()).isEqualByComparingTo("1048576");
        assertThat(mount("keys").getReadOnly()).isNull();
        assertThat(read(verified).keysFile().orElseThrow().getParent()).isEqualTo(Path.of(mount("keys").getMountPath()));
    }

    @Test
    void switchesOnAllThatVerifiedWorkloadsAre() {
        // When
        AgentConfig config = read(verified);

        // Then
        assertThat(config.tokenVerification()).isEqualTo(VerificationMode.JWKS);
        assertThat(config.podWatch()).isTrue();
        assertThat(config.events()).isTrue();
        assertThat(config.startupTaint()).contains("pods.eks.amazonaws.com/agent-not-ready");
        assertThat(verified.environment().keySet()).isSubsetOf(Manifests.variables());
        assertThat(verified.environment()).containsAllEntriesOf(base.environment());
    }

    @Test
    void namesTheTaintInTheReadmeThatItTakesOff() throws IOException {
        String key = read(verified).startupTaint().orElseThrow();

        assertThat(Files.readString(KUBERNETES.resolve("README.md")))
                .contains("the taint `" + key + "`", "--register-with-taints=" + key + "=:NoSchedule");
    }

    @Test
    void isCompletedByTheOverlayOfTheReadme(@TempDir Path directory) throws IOException {
        // When
        Manifests completed = Manifests.of(overlay(directory, block("- ../verified\n")));

        // Then
        assertThat(completed.environment())
                .containsEntry("AGENT_CLUSTER_NAME", "my-cluster")
                .hasSameSizeAs(verified.environment());
        assertThat(completed.all(ClusterRole.class)).isEqualTo(verified.all(ClusterRole.class));
        assertBound(completed);
    }

    @Test
    void boundInAnotherNamespaceTooWhereTheOverlayHasOne(@TempDir Path directory) throws IOException {
        // Given
        Path overlay = overlay(directory, block("- ../verified\n"));
        Path file = overlay.resolve("kustomization.yaml");
        Files.writeString(file, Files.readString(file).replace("namespace: kube-system", "namespace: pod-identity"));

        // When
        Manifests elsewhere = Manifests.of(overlay);

        // Then
        assertThat(elsewhere.only(ServiceAccount.class).getMetadata().getNamespace()).isEqualTo("pod-identity");
        assertBound(elsewhere);
    }

    @Test
    void letsTheApiServerJudgeTokensInsteadWithOneComponent(@TempDir Path directory) throws IOException {
        // When
        Manifests reviewed = Manifests.of(
                overlay(directory, block("- ../verified\n") + "components: [../verified/token-review]\n"));

        // Then
        assertThat(read(reviewed).tokenVerification()).isEqualTo(VerificationMode.TOKEN_REVIEW);
        assertThat(reviewed.all(ClusterRole.class)).extracting(role -> role.getMetadata().getName()).containsExactlyInAnyOrder(
                "eks-pod-identity-agent-token-review",
                "eks-pod-identity-agent-pods",
                "eks-pod-identity-agent-events",
                "eks-pod-identity-agent-startup-taint");
        assertThat(reviewed.all(ClusterRole.class))
                .filteredOn(role -> role.getMetadata().getName().endsWith("token-review"))
                .flatExtracting(ClusterRole::getRules)
                .extracting(VerifiedManifestTest::text)
                .containsExactly("apiGroups=authentication.k8s.io resources=tokenreviews verbs=create");
        assertBound(reviewed);
    }

    static Stream<Arguments> components() {
        return Stream.of(
                arguments("events", "AGENT_EVENTS"),
                arguments("startup-taint", "AGENT_STARTUP_TAINT"));
    }

    @ParameterizedTest
    @MethodSource("components")
    void leavesOutWhatAnOverlayDoesNotList(String component, String variable, @TempDir Path directory) throws IOException {
        // Given
        String overlay = block("- ../verified/core\n").replace("verified/startup-taint", "verified/" + component);

        // When
        Manifests chosen = Manifests.of(overlay(directory, "namespace: kube-system\n" + overlay));

        // Then
        assertThat(chosen.all(ClusterRole.class)).extracting(role -> role.getMetadata().getName())
                .containsExactlyInAnyOrder(AGENT + "-keys", AGENT + "-pods", AGENT + '-' + component);
        assertThat(chosen.all(ValidatingAdmissionPolicy.class)).extracting(policy -> policy.getMetadata().getName())
                .containsExactly(AGENT + '-' + component);
        assertThat(chosen.environment())
                .hasSize(verified.environment().size() - 1)
                .containsEntry(variable, verified.environment().get(variable));
        assertBound(chosen);
    }

    @Test
    void leavesOutThePoliciesWhereTheApiServerKnowsNone(@TempDir Path directory) throws IOException {
        // When
        Manifests old = Manifests.of(overlay(directory, block("- ../verified\n") + block("$patch: delete")));

        // Then
        assertThat(old.objects()).extracting(HasMetadata::getApiVersion).doesNotContain("admissionregistration.k8s.io/v1");
        assertThat(old.all(ClusterRole.class)).isEqualTo(verified.all(ClusterRole.class));
    }

    @ParameterizedTest
    @ValueSource(strings = {"- ../verified\n", "- ../verified/core\n"})
    void takesAnotherTaintsKeyForTheAgentAndItsPolicy(String resource, @TempDir Path directory) throws IOException {
        // When
        Manifests other = Manifests.of(overlay(
                directory, block(resource) + block("name: eks-pod-identity-agent-startup-taint\n    patch")));

        // Then
        assertTaint(other, "startup-taint.cluster-autoscaler.kubernetes.io/eks-pod-identity-agent");
    }

    private static void assertTaint(Manifests manifests, String key) {
        assertThat(read(manifests).startupTaint()).contains(key);
        assertThat(policy(manifests, AGENT + "-startup-taint").getVariables())
                .extracting(Variable::getName, Variable::getExpression)
                .contains(tuple("startupTaint", '"' + key + '"'));
    }

    /** Returns the first YAML block of the README that contains a text. */
    private static String block(String text) throws IOException {
        return Pattern.compile("(?s)```yaml\n(.*?)```")
                .matcher(Files.readString(KUBERNETES.resolve("README.md")))
                .results()
                .map(block -> block.group(1))
                .filter(block -> block.contains(text))
                .findFirst()
                .orElseThrow();
    }

    /** Writes a kustomization that works as if its directory were next to {@code verified}. */
    private static Path overlay(Path directory, String kustomization) throws IOException {
        Path relative = directory.toRealPath().relativize(KUBERNETES.toRealPath());
        Files.writeString(
                directory.resolve("kustomization.yaml"),
                kustomization.replace("../verified", relative + "/verified").replace("../eks", relative + "/eks"));
        return directory;
    }

    private static ValidatingAdmissionPolicySpec policy(Manifests manifests, String name) {
        return manifests.all(ValidatingAdmissionPolicy.class).stream()
                .filter(policy -> policy.getMetadata().getName().equals(name))
                .findFirst()
                .orElseThrow()
                .getSpec();
    }

    /** Returns the regular expression for the users whose requests a policy restricts. */
    private static Pattern username(ValidatingAdmissionPolicySpec policy) {
        assertThat(policy.getMatchConditions()).hasSize(1);
        Matcher condition = Pattern.compile("request\\.userInfo\\.username\\.matches\\(\"([^\"]+)\"\\)")
                .matcher(policy.getMatchConditions().get(0).getExpression());
        assertThat(condition.matches()).isTrue();
        return Pattern.compile(condition.group(1));
    }

    private static String expressions(ValidatingAdmissionPolicySpec policy) {
        return policy.getValidations().stream().map(Validation::getExpression).collect(Collectors.joining("\n"));
    }

    private static Volume volume(String name) {
        return verified.pod().getVolumes().stream().filter(volume -> volume.getName().equals(name)).findFirst().orElseThrow();
    }

    private static VolumeMount mount(String name) {
        return verified.agent().getVolumeMounts().stream()
                .filter(mount -> mount.getName().equals(name))
                .findFirst()
                .orElseThrow();
    }

    /** Returns every part of a rule as text, so that nothing in it is overlooked. */
    private static String text(PolicyRule rule) {
        StringBuilder text = new StringBuilder();
        part(text, "apiGroups", rule.getApiGroups());
        part(text, "resources", rule.getResources());
        part(text, "resourceNames", rule.getResourceNames());
        part(text, "nonResourceURLs", rule.getNonResourceURLs());
        part(text, "verbs", rule.getVerbs());
        return text.toString().strip();
    }

    private static void part(StringBuilder text, String name, List<String> values) {
        if (!values.isEmpty()) {
            text.append(' ').append(name).append('=').append(String.join(",", values));
        }
    }

    /** Returns the configuration that the agent reads from the manifests' environment variables, with a cluster name added. */
    private static AgentConfig read(Manifests manifests) {
        Map<String, String> properties = new HashMap<>();
        manifests.environment().forEach((variable, value) -> properties.put(
                variable.toLowerCase(Locale.ROOT).replaceFirst("_", ".").replace('_', '-'), value));
        properties.put("agent.cluster-name", "my-cluster");
        return new SmallRyeConfigBuilder()
                .withMapping(AgentConfig.class)
                .withSources(new PropertiesConfigSource(properties, "manifest", 100))
                .build()
                .getConfigMapping(AgentConfig.class);
    }
}
