package dev.podidentity.agent.realcluster;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import dev.podidentity.agent.AgentProcess;
import dev.podidentity.agent.Diagnosis;
import io.fabric8.kubernetes.api.model.PodBuilder;
import io.fabric8.kubernetes.client.dsl.PodResource;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** {@code doctor} beside the real API server: RBAC rules, pods, service accounts with IRSA, and kubeconfigs. */
@NeedsRealCluster
class DoctorClusterIT {

    private static final String FEATURES = "--token-verification jwks --pod-watch --events --startup-taint"
            + " pods.eks.amazonaws.com/agent-not-ready";
    private static final String URI = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
    private static final String FILE = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";
    private static final String MOUNT = "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount";
    private static final String EXEC = "exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command:"
            + " /bin/sh,"
            + " args: [-c, 'echo \"{\\\"status\\\":{\\\"token\\\":\\\"$TOKEN\\\"}}\"'], env: [{name: TOKEN, value: %s}]}";

    private final RealCluster cluster;
    private RealNode node;
    private String namespace;

    DoctorClusterIT(RealCluster cluster) {
        this.cluster = cluster;
    }

    @BeforeEach
    void start() {
        node = cluster.node();
        namespace = cluster.namespace();
    }

    // RBAC

    @Test
    void findsEveryRuleThatTheManifestsGrant() {
        node.mount();

        assertThat(diagnoseNode(FEATURES).of("api-server")).containsExactlyInAnyOrder(
                "ok: The agent is allowed to get /openid/v1/jwks",
                "ok: The agent is allowed to list pods",
                "ok: The agent is allowed to watch pods",
                "ok: The agent is allowed to create events",
                "ok: The agent is allowed to get nodes",
                "ok: The agent is allowed to patch nodes");
        assertThat(diagnoseNode("--token-verification token-review").of("api-server")).containsExactly(
                "ok: The agent is allowed to create tokenreviews.authentication.k8s.io");
    }

    @Test
    void namesEveryRuleThatIsMissing() {
        // Given: a service account to which nothing is bound; the API server lets every service account get the keys
        RealNode bare = cluster.node();
        bare.mount();
        bare.mount("token", cluster.token(bare.pod(namespace, "agent-without-rules"), RealCluster.ISSUER));

        // When
        Diagnosis diagnosis = diagnose(environment(), all(features(bare), FEATURES));

        // Then
        assertThat(diagnosis.exitCode()).isEqualTo(2);
        assertThat(diagnosis.of("api-server")).containsExactlyInAnyOrder(
                "ok: The agent is allowed to get /openid/v1/jwks",
                "fail: The agent is not allowed to list pods, which --pod-watch needs. Apply core/pods.yaml of kubernetes/verified",
                "fail: The agent is not allowed to watch pods, which --pod-watch needs. Apply core/pods.yaml of"
                        + " kubernetes/verified",
                "fail: The agent is not allowed to create events, which --events needs. Apply events/ of kubernetes/verified",
                "fail: The agent is not allowed to get nodes, which --startup-taint needs."
                        + " Apply startup-taint/ of kubernetes/verified",
                "fail: The agent is not allowed to patch nodes, which --startup-taint needs."
                        + " Apply startup-taint/ of kubernetes/verified");
    }

    @Test
    void saysThatTheApiServerRejectsTheTokenOrCannotBeReached() {
        // Given
        node.mount();

        // When
        node.mount("token", "not-a-token");

        // Then
        assertThat(diagnoseNode("--pod-watch").of("api-server")).singleElement().asString().startsWith("fail: ").contains("401");
        assertThat(diagnose(environment(), "--api-server", "https://127.0.0.1:1", "--service-account-path",
                node.serviceAccount().toString(), "--pod-watch").of("api-server")).singleElement().asString()
                .startsWith("fail: The API server at https://127.0.0.1:1 cannot be reached");
    }

    // Pods

    /** What is different about a pod, and what the check of it reports. */
    static Stream<Arguments> pods() {
        return Stream.of(
                pod("healthy", pod -> pod, "injection", "ok: The container main has the two variables and a token for"),
                pod("without-variables", pod -> container(pod, Map.of()), "injection",
                        "fail: Nothing was injected", "kubectl rollout restart"),
                pod("wrong-endpoint", pod -> container(pod, Map.of(URI, "http://169.254.170.2/v1", FILE, MOUNT + "/token")),
                        "injection", "fail: The container main uses the endpoint http://169.254.170.2/v1"),
                pod("wrong-audience", pod -> volume(pod, "sts.amazonaws.com"), "injection",
                        "fail: The container main has a token for the audience \"sts.amazonaws.com\""),
                pod("without-volume", pod -> pod.editSpec().withVolumes().editFirstContainer().withVolumeMounts().endContainer()
                        .endSpec(), "injection", "fail: The container main has no volume at the path of its token"),
                pod("static-keys", pod -> variable(variable(pod, "AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"), "AWS_SECRET_ACCESS_KEY", "x"),
                        "precedence",
                        "warn: The container main has static keys in AWS_ACCESS_KEY_ID"),
                pod("irsa", pod -> variable(variable(pod, "AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/x"),
                        "AWS_WEB_IDENTITY_TOKEN_FILE", "/token"), "precedence", "warn: The container main has an IRSA role"),
                pod("profile", pod -> variable(pod, "AWS_PROFILE", "other"), "precedence", "warn: ", "AWS_PROFILE"),
                pod("proxy", pod -> variable(pod, "HTTP_PROXY", "http://proxy.example.com:3128"), "pod-proxy",
                        "warn: The container main has HTTP_PROXY", "169.254.170.23"),
                pod("host-network", pod -> pod.editSpec().withHostNetwork(true).endSpec(), "host-network",
                        "warn: It runs on the host network"),
                pod("fargate", pod -> pod.editMetadata().addToLabels("eks.amazonaws.com/fargate-profile", "p").endMetadata(),
                        "placement", "fail: It runs on Fargate"),
                pod("windows", pod -> pod.editSpec().withNewOs("windows").endSpec(), "placement", "fail: It runs on Windows"));
    }

    private static Arguments pod(String name, UnaryOperator<PodBuilder> difference, String check, String... reported) {
        return arguments(name, difference, check, reported);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("pods")
    void seesWhatIsWrongWithAPod(String name, UnaryOperator<PodBuilder> difference, String check, String... reported) {
        create(name, difference);

        Diagnosis diagnosis = diagnosePod(name);

        assertThat(diagnosis.of("pod")).singleElement().asString().startsWith("ok: ").contains(namespace + "/" + name, node.name());
        assertThat(diagnosis.of(check)).anySatisfy(line -> assertThat(line).contains(reported));
    }

    @Test
    void findsNothingWrongWithAPodOfANodeWhoseAgentIsReady() {
        // Given
        create("healthy", pod -> pod);
        agentPod("True");

        // Then
        Diagnosis diagnosis = diagnosePod("healthy");
        assertThat(diagnosis.troubles()).isEmpty();
        assertThat(diagnosis.exitCode()).isZero();
        assertThat(diagnosis.of("agent")).singleElement().asString().startsWith("ok: The agent kube-system/").endsWith("is ready");
    }

    @Test
    void saysThatTheAgentOfThePodsNodeIsMissingOrNotReady() {
        create("cart", pod -> pod);
        assertThat(diagnosePod("cart").of("agent")).singleElement().asString()
                .startsWith("fail: No agent runs on node " + node.name());

        agentPod("False");
        assertThat(diagnosePod("cart").of("agent")).singleElement().asString().startsWith("fail: ").contains("is not ready");
    }

    @Test
    void findsANetworkPolicyThatShutsTheAgentOutAndOneThatLetsItIn() {
        // Given
        create("cart", pod -> pod);
        cluster.apply(policy("default-deny", "[]"));

        // Then
        assertThat(diagnosePod("cart").of("network-policy")).singleElement().asString()
                .startsWith("warn: No NetworkPolicy allows connections to 169.254.170.23").contains("default-deny");

        // When: the remedy of docs/operations.md
        cluster.apply(policy("allow-pod-identity",
                "[{to: [{ipBlock: {cidr: 169.254.170.23/32}}], ports: [{protocol: TCP, port: 80}]}]"));

        // Then
        assertThat(diagnosePod("cart").of("network-policy")).singleElement().asString()
                .startsWith("ok: A NetworkPolicy allows connections to 169.254.170.23: allow-pod-identity");
    }

    @Test
    void saysThatThereIsNoSuchPod() {
        Diagnosis diagnosis = diagnosePod("missing");

        assertThat(diagnosis.exitCode()).isEqualTo(2);
        assertThat(diagnosis.of("pod")).singleElement().asString().startsWith("fail: There is no pod " + namespace + "/missing");
    }

    // IRSA

    @Test
    void listsTheServiceAccountsThatUseIrsa() {
        // Given
        cluster.apply("""
                apiVersion: v1
                kind: ServiceAccount
                metadata:
                  name: orders
                  namespace: %s
                  annotations: {eks.amazonaws.com/role-arn: "arn:aws:iam::123456789012:role/orders"}
                """.formatted(namespace));
        cluster.run(container(RealCluster.podOn(node.name(), namespace, "orders", "orders-0"), Map.of()).build());

        // When
        Diagnosis diagnosis = diagnose(environment(), "irsa", "--kubeconfig", kubeconfig(), "--cluster-name", "prod");

        // Then
        assertThat(diagnosis.exitCode()).isEqualTo(1);
        assertThat(diagnosis.of("irsa")).anySatisfy(line -> assertThat(line)
                .startsWith("warn: The service account " + namespace + "/orders uses arn:aws:iam::123456789012:role/orders by IRSA")
                .contains("0 of its 1 pods have EKS Pod Identity injected", "aws eks create-pod-identity-association",
                        "kubectl -n " + namespace + " annotate serviceaccount orders eks.amazonaws.com/role-arn-"));
    }

    // Kubeconfigs

    /** How a user of a kubeconfig authenticates; {@code %s} stands for a token. */
    static Stream<String> users() {
        return Stream.of("token: %s", EXEC);
    }

    @ParameterizedTest
    @MethodSource("users")
    void usesTheIdentityOfTheKubeconfigAndSkipsWhatItMayNotRead(String user) {
        // Given: somebody who may get pods of this namespace, and nothing else
        create("cart", pod -> pod);
        cluster.api().kubectl("create", "role", "reader", "--namespace", namespace, "--verb=get", "--resource=pods");
        cluster.api().kubectl("create", "rolebinding", "reader", "--namespace", namespace, "--role=reader",
                "--serviceaccount=" + namespace + ":" + RealCluster.SERVICE_ACCOUNT);
        String token = cluster.token(node.pod(namespace, "reader"), RealCluster.ISSUER);
        String file = cluster.file("kubeconfig-" + namespace, kubeconfig(user.formatted(token), cluster.api().authority().toString()))
                .toString();

        // When
        Diagnosis diagnosis = diagnose(environment(), "--pod", namespace + "/cart", "--kubeconfig", file);

        // Then
        assertThat(diagnosis.of("injection")).allMatch(line -> line.startsWith("ok: "));
        assertThat(diagnosis.of("placement")).singleElement().asString().startsWith("skip: ").contains("permission to get nodes");
        assertThat(diagnosis.of("agent")).singleElement().asString().startsWith("skip: ").contains("permission to list pods");
        assertThat(diagnosis.of("network-policy")).singleElement().asString().startsWith("skip: ");
        assertThat(diagnosis.findings().toString()).doesNotContain(token);
    }

    @Test
    void refusesAnApiServerOfAnotherAuthority() {
        String file = cluster.file("kubeconfig-other-" + namespace,
                kubeconfig("token: x", cluster.api().directory().resolve("admin.crt").toString())).toString();

        Diagnosis diagnosis = diagnose(environment(), "--pod", namespace + "/cart", "--kubeconfig", file);

        assertThat(diagnosis.exitCode()).isEqualTo(2);
        assertThat(diagnosis.troubles()).singleElement().asString().contains("certificate");
    }

    private void create(String name, UnaryOperator<PodBuilder> difference) {
        PodBuilder pod = RealCluster.podOn(node.name(), namespace, RealCluster.SERVICE_ACCOUNT, name);
        cluster.run(difference.apply(volume(container(pod,
                Map.of(URI, "http://169.254.170.23/v1/credentials", FILE, MOUNT + "/eks-pod-identity-token")),
                "pods.eks.amazonaws.com")).build());
    }

    /** What EKS's webhook injects. */
    private static PodBuilder volume(PodBuilder pod, String audience) {
        return pod.editSpec()
                .withVolumes()
                .addNewVolume().withName("eks-pod-identity-token").withNewProjected().addNewSource().withNewServiceAccountToken()
                .withAudience(audience).withExpirationSeconds(86400L).withPath("eks-pod-identity-token")
                .endServiceAccountToken().endSource().endProjected().endVolume()
                .editFirstContainer()
                .withVolumeMounts()
                .addNewVolumeMount().withName("eks-pod-identity-token").withMountPath(MOUNT).withReadOnly(true).endVolumeMount()
                .endContainer()
                .endSpec();
    }

    private static PodBuilder container(PodBuilder pod, Map<String, String> variables) {
        PodBuilder changed = pod.editSpec().editFirstContainer().withEnv().endContainer().endSpec();
        for (Map.Entry<String, String> each : variables.entrySet()) {
            changed = variable(changed, each.getKey(), each.getValue());
        }
        return changed;
    }

    private static PodBuilder variable(PodBuilder pod, String name, String value) {
        return pod.editSpec().editFirstContainer().addNewEnv().withName(name).withValue(value).endEnv().endContainer().endSpec();
    }

    private void agentPod(String ready) {
        PodResource agent = cluster.administrator().pods().inNamespace(RealCluster.SYSTEM)
                .withName(node.agentPod().getMetadata().getName());
        agent.edit(pod -> new PodBuilder(pod)
                .editMetadata().addToLabels("app.kubernetes.io/name", RealCluster.AGENT).endMetadata().build());
        agent.editStatus(pod -> new PodBuilder(pod)
                .editStatus().withConditions().addNewCondition().withType("Ready").withStatus(ready).endCondition().endStatus()
                .build());
    }

    private String policy(String name, String egress) {
        return """
                apiVersion: networking.k8s.io/v1
                kind: NetworkPolicy
                metadata: {name: %s, namespace: %s}
                spec: {podSelector: {}, policyTypes: [Egress], egress: %s}
                """.formatted(name, namespace, egress);
    }

    private String kubeconfig() {
        return cluster.api().kubeconfig().toString();
    }

    private String kubeconfig(String user, String authority) {
        return """
                apiVersion: v1
                kind: Config
                current-context: test
                clusters: [{name: test, cluster: {server: "%s", certificate-authority: "%s"}}]
                contexts: [{name: test, context: {cluster: test, user: me}}]
                users: [{name: me, user: {%s}}]
                """.formatted(cluster.api().url(), authority, user);
    }

    private static Map<String, String> environment() {
        return new HashMap<>(Map.of("AWS_EC2_METADATA_DISABLED", "true", "HOME", "/nowhere"));
    }

    private String[] features(RealNode of) {
        return new String[] {
            "--api-server", cluster.api().url().toString(), "--service-account-path", of.serviceAccount().toString()
        };
    }

    private static String[] all(String[] first, String more) {
        List<String> all = new ArrayList<>(Arrays.asList(first));
        all.addAll(List.of(more.split(" ")));
        return all.toArray(String[]::new);
    }

    private Diagnosis diagnoseNode(String flags) {
        return diagnose(environment(), all(features(node), flags));
    }

    private Diagnosis diagnosePod(String name) {
        return diagnose(environment(), "--pod", namespace + "/" + name, "--kubeconfig", kubeconfig());
    }

    private static Diagnosis diagnose(Map<String, String> environment, String... arguments) {
        return Diagnosis.of(AgentProcess.command(), environment, List.of(), arguments);
    }
}
