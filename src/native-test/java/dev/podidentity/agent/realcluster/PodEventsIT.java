package dev.podidentity.agent.realcluster;

import static dev.podidentity.agent.realcluster.RealNode.ask;
import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.AgentProcess;
import dev.podidentity.agent.ForgedTokens;
import io.fabric8.kubernetes.api.model.Event;
import io.fabric8.kubernetes.api.model.Pod;
import io.vertx.core.json.JsonObject;
import java.util.List;
import org.jose4j.lang.JoseException;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Tests Events on pods. The admission policy of {@code kubernetes/verified} allows only those that the agent sends. */
@NeedsRealCluster
class PodEventsIT {

    private static final String NO_ACCOUNT = "no-association";
    private static final int TIMES = 20;

    private static RealCluster cluster;
    private static RealNode node;
    private static AgentProcess agent;

    private String namespace;

    @BeforeAll
    static void start(RealCluster shared) {
        cluster = shared;
        node = cluster.node();
        agent = node.verifyingAgent("--events");
    }

    @AfterAll
    static void stop() {
        agent.close();
    }

    @BeforeEach
    void prepare() {
        namespace = cluster.namespace();
        cluster.createServiceAccount(namespace, NO_ACCOUNT);
    }

    private Pod pod(String name) {
        return node.pod(namespace, NO_ACCOUNT, name);
    }

    private static void askOften(String token, int status) {
        for (int i = 0; i < TIMES; i++) {
            assertThat(ask(agent, token).status()).isEqualTo(status);
        }
    }

    private List<Event> events() {
        return cluster.administrator().v1().events().inNamespace(namespace).list().getItems();
    }

    private long posts() {
        return cluster.api().agentsCalls("create", "/namespaces/" + namespace + "/events");
    }

    /** Waits until the agent has sent all earlier Events, by waiting for one that is queued after them. */
    private void awaitSent() {
        Pod last = pod("last");
        ask(agent, cluster.token(last));
        Wait.until("the last Event exists", () -> events().stream()
                .anyMatch(event -> event.getInvolvedObject().getName().equals("last")));
    }

    @Test
    void aPodWithoutAnAssociationHasOneHoweverOftenItAsks() {
        // Given
        Pod pod = pod("cart-1");

        // When
        askOften(cluster.token(pod), 403);
        askOften(cluster.token(pod), 403);
        awaitSent();

        // Then
        assertThat(events()).filteredOn(event -> !event.getInvolvedObject().getName().equals("last"))
                .singleElement().satisfies(event -> {
                    assertThat(event.getInvolvedObject().getApiVersion()).isEqualTo("v1");
                    assertThat(event.getInvolvedObject().getKind()).isEqualTo("Pod");
                    assertThat(event.getInvolvedObject().getNamespace()).isEqualTo(namespace);
                    assertThat(event.getInvolvedObject().getName()).isEqualTo("cart-1");
                    assertThat(event.getInvolvedObject().getUid()).isEqualTo(pod.getMetadata().getUid());
                    assertThat(event.getType()).isEqualTo("Warning");
                    assertThat(event.getReason()).isEqualTo("CredentialsNoAssociation");
                    assertThat(event.getMessage()).contains("--namespace " + namespace + " --service-account " + NO_ACCOUNT);
                    assertThat(event.getSource().getComponent()).isEqualTo(RealCluster.AGENT);
                    assertThat(event.getSource().getHost()).isEqualTo(node.name());
                    assertThat(event.getReportingComponent()).isEqualTo(RealCluster.AGENT);
                });
        assertThat(posts()).as("one for each of the two pods").isEqualTo(2);
        assertThat(cluster.api().kubectl("describe", "pod", "--namespace", namespace, "cart-1"))
                .contains("CredentialsNoAssociation");
    }

    @Test
    void eachPodHasItsOwn() {
        // Given
        Pod first = pod("cart-1");
        Pod second = pod("cart-2");

        // When
        askOften(cluster.token(first), 403);
        askOften(cluster.token(second), 403);
        awaitSent();

        // Then
        assertThat(events()).extracting(event -> event.getInvolvedObject().getUid())
                .contains(first.getMetadata().getUid(), second.getMetadata().getUid())
                .hasSize(3);
    }

    @Test
    void nobodyPutsOneOnAnothersPod() throws JoseException {
        // Given
        String genuine = cluster.token(pod("victim"));
        JsonObject claims = new JsonObject().put("sub", "forged");

        // When
        askOften(ForgedTokens.withClaims(genuine, claims), 400);
        askOften(new ForgedTokens().signed(genuine, "made-up"), 400);
        awaitSent();

        // Then
        assertThat(events()).extracting(event -> event.getInvolvedObject().getName()).containsExactly("last");
    }

    @Test
    void aPolicyThatRefusesThemIsNamedInOneWarning() {
        // Given
        String policy = "no-events-in-" + namespace;
        cluster.apply("""
                apiVersion: admissionregistration.k8s.io/v1
                kind: ValidatingAdmissionPolicy
                metadata: {name: %1$s}
                spec:
                  failurePolicy: Fail
                  matchConstraints:
                    resourceRules:
                      - {apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [events]}
                  matchConditions:
                    - {name: here, expression: 'request.namespace == "%2$s"'}
                  validations:
                    - {expression: "false", message: "there shall be no Events"}
                ---
                apiVersion: admissionregistration.k8s.io/v1
                kind: ValidatingAdmissionPolicyBinding
                metadata: {name: %1$s}
                spec: {policyName: %1$s, validationActions: [Deny]}
                """.formatted(policy, namespace));
        Wait.until("the policy is enforced", () -> cluster.api().tryKubectl("create", "--dry-run=server", "-f",
                cluster.file("probe-event.yaml", """
                        apiVersion: v1
                        kind: Event
                        metadata: {name: probe, namespace: %1$s}
                        involvedObject: {apiVersion: v1, kind: Pod, namespace: %1$s, name: probe}
                        """.formatted(namespace)).toString()).output().contains("there shall be no Events"));
        try {
            // When
            askOften(cluster.token(pod("cart-1")), 403);
            askOften(cluster.token(pod("cart-2")), 403);
            Wait.until("both Events are rejected", () -> posts() == 2);
            askOften(cluster.token(pod("cart-1b")), 403);
            Wait.until("all Events are rejected", () -> posts() == 3);

            // Then
            assertThat(agent.awaitLine(line -> line.contains("The API server rejects an Event")))
                    .contains("\"level\":\"warning\"", "\"namespace\":\"" + namespace + '"', "\"status\":422", policy);
            assertThat(agent.lines("The API server rejects an Event")).isOne();
            assertThat(events()).isEmpty();
        } finally {
            cluster.api().kubectl("delete", "validatingadmissionpolicybinding,validatingadmissionpolicy", policy);
        }
    }
}
