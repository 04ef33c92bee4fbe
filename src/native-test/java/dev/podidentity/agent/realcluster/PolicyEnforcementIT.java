package dev.podidentity.agent.realcluster;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import io.fabric8.kubernetes.api.model.Event;
import io.fabric8.kubernetes.api.model.EventBuilder;
import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.api.model.Node;
import io.fabric8.kubernetes.api.model.NodeBuilder;
import io.fabric8.kubernetes.api.model.OwnerReferenceBuilder;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.PodBuilder;
import io.fabric8.kubernetes.api.model.Taint;
import io.fabric8.kubernetes.api.model.authentication.TokenRequest;
import io.fabric8.kubernetes.api.model.authentication.TokenRequestBuilder;
import io.fabric8.kubernetes.client.Config;
import io.fabric8.kubernetes.client.ConfigBuilder;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;
import io.fabric8.kubernetes.client.KubernetesClientException;
import io.fabric8.kubernetes.client.dsl.base.PatchContext;
import io.fabric8.kubernetes.client.dsl.base.PatchType;
import io.fabric8.kubernetes.client.utils.Serialization;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Tests what an API server allows the agent's service account after {@code kubernetes/verified} is applied. */
@NeedsRealCluster
class PolicyEnforcementIT {

    private static final String NAMESPACE = "kube-system";
    private static final String AGENT = "eks-pod-identity-agent";
    private static final Taint STARTUP = new Taint("NoSchedule", "pods.eks.amazonaws.com/agent-not-ready", null, null);
    private static final Taint OTHER = new Taint("NoExecute", "example.com/other", "2026-01-01T00:00:00Z", "x");
    private static final Taint ANOTHER = new Taint("NoSchedule", "example.com/another", null, null);
    private static final String TAINTS = "/spec/taints";
    /** A patch that removes the startup taint, which is the first taint. */
    private static final String REMOVE = remove(TAINTS + "/0");
    private static final int FORBIDDEN = 403;
    /** The status with which the API server responds to requests that a policy rejects. */
    private static final int INVALID = 422;

    private static KubernetesClient administrator;

    private Node node;
    private Node otherNode;
    private Pod pod;
    private KubernetesClient agent;

    @BeforeAll
    static void prepare(RealCluster cluster) {
        administrator = cluster.administrator();
        awaitPolicies();
    }

    /** Waits until both policies are enforced, which happens some time after they are created. */
    private static void awaitPolicies() {
        Node probe = node();
        try (KubernetesClient unbound = client(token(null))) {
            Wait.until("the policy for nodes is enforced",
                    () -> patch(unbound, probe, change("replace", TAINTS, List.of())) != 0);
            Event event = new EventBuilder()
                    .withNewMetadata().withGenerateName("probe-").withNamespace("default").endMetadata()
                    .withNewInvolvedObject().withKind("Pod").withNamespace("default").endInvolvedObject()
                    .build();
            Wait.until("the policy for Events is enforced", () -> create(unbound, event) != 0);
        }
        administrator.resource(probe).delete();
    }

    @BeforeEach
    void start() {
        node = node();
        otherNode = node();
        pod = administrator.resource(new PodBuilder()
                        .withNewMetadata().withGenerateName("agent-").withNamespace(NAMESPACE).endMetadata()
                        .withNewSpec()
                        .withNodeName(node.getMetadata().getName())
                        .withServiceAccountName(AGENT)
                        .addNewContainer().withName("agent").withImage("agent").endContainer()
                        .endSpec()
                        .build())
                .create();
        agent = client(token(pod));
    }

    @AfterEach
    void remove() {
        agent.close();
        administrator.resource(pod).withGracePeriod(0).delete();
        List.of(node, otherNode).forEach(each -> administrator.resource(each).delete());
    }

    @Test
    void theAgentRemovesTheStartupTaintAndLeavesOthers() {
        // Given
        List<Taint> taints = node.getSpec().getTaints();
        List<Taint> others = taints.subList(1, taints.size());

        // When: the agent's own patch, with its test operation
        int status = patch(agent, node, change("test", TAINTS, taints) + ',' + change("replace", TAINTS, others));

        // Then
        assertThat(status).isZero();
        assertThat(others).contains(OTHER, ANOTHER);
        assertThat(fresh(node).getSpec().getTaints()).isEqualTo(others);
    }

    @Test
    void theAgentRemovesTheStartupTaintWhereItIsTheOnlyOne() {
        // Given
        administrator.resource(node).edit(edited -> new NodeBuilder(edited).editSpec().withTaints(STARTUP).endSpec().build());

        // When: the agent's own patch, with its test operation
        int status = patch(agent, node, change("test", TAINTS, List.of(STARTUP)) + ',' + remove(TAINTS));

        // Then
        assertThat(status).isZero();
        assertThat(fresh(node).getSpec().getTaints()).isEmpty();
    }

    /** Returns changes of a node without the startup taint, none of which the policy allows. */
    static Stream<Arguments> changes() {
        return Stream.of(
                arguments("cordon", change("add", "/spec/unschedulable", true)),
                arguments("another taint removed", remove(TAINTS + "/0")),
                arguments("a taint added", change("add", TAINTS + "/-", new Taint("NoExecute", "evict", null, null))),
                arguments("a taint changed", change("replace", TAINTS + "/1/effect", "NoExecute")),
                arguments("a taint's time changed", change("replace", TAINTS + "/0/timeAdded", "2036-01-01T00:00:00Z")),
                arguments("the order of taints changed", change("replace", TAINTS, List.of(ANOTHER, OTHER))),
                arguments("the startup taint kept, with another effect",
                        change("add", TAINTS + "/0", new Taint("NoExecute", STARTUP.getKey(), null, null))),
                arguments("all taints removed", remove(TAINTS)),
                arguments("owner", change("add", "/metadata/ownerReferences", List.of(new OwnerReferenceBuilder()
                        .withApiVersion("v1").withKind("Pod").withName("gone").withUid(UUID.randomUUID().toString()).build()))),
                arguments("finalizer", change("add", "/metadata/finalizers", List.of("example.com/for-ever"))),
                arguments("first annotation", change("add", "/metadata/annotations", Map.of("a", "b"))),
                arguments("label added", change("add", "/metadata/labels/a", "b")),
                arguments("label changed", change("replace", "/metadata/labels/zone", "b")),
                arguments("label removed", remove("/metadata/labels/zone")),
                arguments("all labels removed", remove("/metadata/labels")),
                arguments("provider's ID", change("add", "/spec/providerID", "aws:///a/i-1")),
                arguments("pods' addresses", change("add", "/spec/podCIDR", "10.1.0.0/24")
                        + ',' + change("add", "/spec/podCIDRs", List.of("10.1.0.0/24"))),
                arguments("external ID", change("add", "/spec/externalID", "i-1")));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("changes")
    void nothingElseOfTheNodeIsChanged(String what, String change) {
        // When: the change comes together with the allowed one
        int together = patch(agent, node, REMOVE + ',' + change);

        // Then
        assertThat(together).isEqualTo(INVALID);
        assertThat(fresh(node)).isEqualTo(node);

        // When: the change comes alone, after the startup taint is gone
        assertThat(patch(administrator, node, REMOVE)).isZero();
        Node before = fresh(node);
        int alone = patch(agent, node, change);

        // Then
        assertThat(alone).isEqualTo(INVALID);
        assertThat(fresh(node)).isEqualTo(before);
    }

    @Test
    void anotherNodeIsNotChanged() {
        assertThat(patch(agent, otherNode, REMOVE)).isEqualTo(INVALID);
        assertThat(fresh(otherNode)).isEqualTo(otherNode);
    }

    @Test
    void aTokenThatNamesNoNodeChangesNone() {
        try (KubernetesClient unbound = client(token(null))) {
            assertThat(patch(unbound, node, REMOVE)).isEqualTo(INVALID);
        }
        assertThat(fresh(node)).isEqualTo(node);
    }

    @Test
    void theNodeIsNotDeletedNorItsStatusChangedNorOneMade() {
        assertThat(refused(() -> agent.resource(node).delete())).isEqualTo(FORBIDDEN);
        assertThat(refused(() -> agent.resource(node).subresource("status").patch(
                PatchContext.of(PatchType.JSON), '[' + change("add", "/status/phase", "Running") + ']')))
                .isEqualTo(FORBIDDEN);
        assertThat(refused(() -> agent.resource(new NodeBuilder().withNewMetadata().withName("new").endMetadata().build())
                .serverSideApply())).isEqualTo(FORBIDDEN);
        assertThat(fresh(node)).isEqualTo(node);
    }

    @Test
    void nobodyElseIsConcerned() {
        // When
        administrator.resource(node).edit(edited -> new NodeBuilder(edited)
                .editMetadata().addToLabels("a", "b").endMetadata()
                .editSpec().withUnschedulable(true).endSpec()
                .build());

        // Then
        assertThat(fresh(node).getSpec().getUnschedulable()).isTrue();
        assertThat(create(administrator, new EventBuilder(event()).withType("Normal").withReason("Scheduled").build())).isZero();
    }

    @Test
    void theAgentPutsItsEventsOnPods() {
        assertThat(create(agent, event())).isZero();
        assertThat(create(agent, new EventBuilder(event())
                .editSource().withHost(null).endSource()
                .withReportingInstance(null)
                .build())).as("status for an Event without a node").isZero();
    }

    static Stream<Arguments> otherEvents() {
        return Stream.of(
                other("of the normal type", event -> event.setType("Normal")),
                other("for a reason that is not the agent's", event -> event.setReason("FailedScheduling")),
                other("on a node", event -> event.getInvolvedObject().setKind("Node")),
                other("on another kind of pod", event -> event.getInvolvedObject().setApiVersion("example.com/v1")),
                other("on a part of a pod", event -> event.getInvolvedObject().setFieldPath("spec.containers{a}")),
                other("on a pod of another namespace", event -> event.getInvolvedObject().setNamespace("kube-system")),
                other("from kubelet", event -> event.getSource().setComponent("kubelet")),
                other("reported by kubelet", event -> event.setReportingComponent("kubelet")),
                other("from another node", event -> event.getSource().setHost("other")),
                other("reported by another node", event -> event.setReportingInstance("other")),
                other("with a finalizer", event -> event.getMetadata().setFinalizers(List.of("example.com/for-ever"))),
                other("with an owner", event -> event.getMetadata().setOwnerReferences(List.of(new OwnerReferenceBuilder()
                        .withApiVersion("v1").withKind("Pod").withName("p").withUid(UUID.randomUUID().toString()).build()))),
                other("with a label", event -> event.getMetadata().setLabels(Map.of("a", "b"))),
                other("with an annotation", event -> event.getMetadata().setAnnotations(Map.of("a", "b"))),
                other("about something else", event -> event.setRelated(event.getInvolvedObject())),
                other("with an action", event -> event.setAction("Binding")));
    }

    private static Arguments other(String what, Consumer<Event> change) {
        return arguments(what, change);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("otherEvents")
    void theAgentCreatesNoOtherEvents(String what, Consumer<Event> change) {
        // Given
        Event event = event();
        change.accept(event);

        // When
        int status = create(agent, event);

        // Then
        assertThat(status).isEqualTo(INVALID);
    }

    @Test
    void eventsAreNotChangedNorDeletedNorReadNorCreatedInTheOtherGroup() {
        // Given
        Event event = administrator.resource(event()).create();

        // Then
        assertThat(refused(() -> agent.resource(event).edit(edited -> new EventBuilder(edited).withCount(2).build())))
                .isEqualTo(FORBIDDEN);
        assertThat(refused(() -> agent.resource(event).delete())).isEqualTo(FORBIDDEN);
        assertThat(refused(() -> agent.v1().events().inNamespace("default").list())).isEqualTo(FORBIDDEN);
        assertThat(refused(() -> agent.events().v1().events().inNamespace("default").resource(
                new io.fabric8.kubernetes.api.model.events.v1.EventBuilder()
                        .withNewMetadata().withGenerateName("a").withNamespace("default").endMetadata()
                        .build()).create())).isEqualTo(FORBIDDEN);
    }

    @Test
    void aTokenThatNamesNoNodeCreatesNoEvents() {
        try (KubernetesClient unbound = client(token(null))) {
            assertThat(create(unbound, event())).isEqualTo(INVALID);
        }
    }

    @Test
    void podsAreListedAndNotReadOneByOneNorChanged() {
        assertThat(agent.pods().inAnyNamespace().list().getItems()).isNotEmpty();
        assertThat(refused(() -> agent.resource(pod).get())).isEqualTo(FORBIDDEN);
        assertThat(refused(() -> agent.resource(pod).delete())).isEqualTo(FORBIDDEN);
    }

    @Test
    void theKeysAreReadAndNoOtherPath() {
        assertThat(agent.raw("/openid/v1/jwks")).contains("\"keys\"");
        assertThat(refused(() -> agent.raw("/metrics"))).isEqualTo(FORBIDDEN);
    }

    /** Returns an Event as the agent creates it. */
    private Event event() {
        return new EventBuilder()
                .withNewMetadata().withGenerateName("cart-1.").withNamespace("default").endMetadata()
                .withType("Warning")
                .withReason("CredentialsNoAssociation")
                .withMessage("There is no EKS Pod Identity association")
                .withNewInvolvedObject()
                .withApiVersion("v1").withKind("Pod").withNamespace("default").withName("cart-1")
                .withUid(UUID.randomUUID().toString())
                .endInvolvedObject()
                .withNewSource().withComponent(AGENT).withHost(node.getMetadata().getName()).endSource()
                .withReportingComponent(AGENT)
                .withReportingInstance(node.getMetadata().getName())
                .withFirstTimestamp("2026-01-01T00:00:00Z")
                .withLastTimestamp("2026-01-01T00:00:00Z")
                .withCount(1)
                .build();
    }

    private static Node node() {
        return administrator.resource(new NodeBuilder()
                        .withNewMetadata().withGenerateName("node-").addToLabels("zone", "a").endMetadata()
                        .withNewSpec().withTaints(STARTUP, OTHER, ANOTHER).endSpec()
                        .build())
                .create();
    }

    private static Node fresh(Node node) {
        return administrator.nodes().withName(node.getMetadata().getName()).get();
    }

    /** Requests a token of the agent's service account, bound to a pod unless that is null. */
    private static String token(Pod pod) {
        TokenRequestBuilder request = new TokenRequestBuilder().withNewSpec().withExpirationSeconds(3600L).endSpec();
        if (pod != null) {
            request.editSpec()
                    .withNewBoundObjectRef("v1", "Pod", pod.getMetadata().getName(), pod.getMetadata().getUid())
                    .endSpec();
        }
        TokenRequest answered =
                administrator.serviceAccounts().inNamespace(NAMESPACE).withName(AGENT).tokenRequest(request.build());
        return answered.getStatus().getToken();
    }

    private static KubernetesClient client(String token) {
        Config administrators = administrator.getConfiguration();
        return new KubernetesClientBuilder()
                .withConfig(new ConfigBuilder(Config.empty())
                        .withMasterUrl(administrators.getMasterUrl())
                        .withCaCertFile(administrators.getCaCertFile())
                        .withCaCertData(administrators.getCaCertData())
                        .withOauthToken(token)
                        .build())
                .build();
    }

    private static String change(String operation, String path, Object value) {
        return "{\"op\":\"" + operation + "\",\"path\":\"" + path + "\",\"value\":" + Serialization.asJson(value) + '}';
    }

    private static String remove(String path) {
        return "{\"op\":\"remove\",\"path\":\"" + path + "\"}";
    }

    /** Sends a JSON patch and returns the status with which it is rejected, or 0. */
    private static int patch(KubernetesClient client, Node node, String operations) {
        return refused(() -> client.nodes().withName(node.getMetadata().getName())
                .patch(PatchContext.of(PatchType.JSON), '[' + operations + ']'));
    }

    private static int create(KubernetesClient client, HasMetadata object) {
        return refused(() -> client.resource(object).create());
    }

    private static int refused(Runnable action) {
        KubernetesClientException refusal = catchThrowableOfType(KubernetesClientException.class, action::run);
        return refusal == null ? 0 : refusal.getCode();
    }
}
