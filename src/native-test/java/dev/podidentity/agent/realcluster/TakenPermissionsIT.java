package dev.podidentity.agent.realcluster;

import static dev.podidentity.agent.realcluster.RealNode.ask;
import static io.restassured.RestAssured.given;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import dev.podidentity.agent.AgentProcess;
import io.fabric8.kubernetes.api.model.Taint;
import io.fabric8.kubernetes.api.model.rbac.ClusterRoleBinding;
import io.fabric8.kubernetes.api.model.rbac.ClusterRoleBindingBuilder;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Removes each permission that {@code kubernetes/verified} grants, which must turn off its own feature and nothing else. */
@NeedsRealCluster
class TakenPermissionsIT {

    private static final String KEY = "pods.eks.amazonaws.com/agent-not-ready";

    static Stream<Arguments> permissions() {
        return Stream.of(
                arguments("keys", List.of("--token-verification", "jwks"), "nonResourceURLs /openid/v1/jwks with the verb get"),
                arguments("token-review", List.of("--token-verification", "token-review"),
                        "apiGroups authentication.k8s.io, resources tokenreviews with the verb create"),
                arguments("pods", List.of("--pod-watch"), "apiGroups \\\"\\\", resources pods with the verbs list and watch"),
                arguments("events", List.of("--token-verification", "jwks", "--events"),
                        "apiGroups \\\"\\\", resources events with the verb create"),
                arguments("startup-taint", List.of("--startup-taint", KEY),
                        "apiGroups \\\"\\\", resources nodes with the verbs get and patch"));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("permissions")
    void isOneWarningThatNamesTheRuleAndPodsAreServed(String permission, List<String> flags, String rule, RealCluster cluster) {
        // Given
        RealNode node = cluster.node(new Taint("NoSchedule", KEY, null, null)).mount();
        String namespace = cluster.namespace();
        String token = cluster.token(node.pod(namespace, "cart-1"));
        cluster.createServiceAccount(namespace, "none");
        String noAssociation = cluster.token(node.pod(namespace, "none", "none-1"));
        List<ClusterRoleBinding> bindings = bindings(cluster, permission);
        bindings.forEach(binding -> cluster.administrator().resource(binding).delete());
        try {
            awaitForbidden(cluster, permission);

            // When: the agent must allow for an API server that has just started, so it does not warn at the first refusal
            try (AgentProcess agent = node.agent(flags.toArray(String[]::new))) {
                if (flags.contains("--events")) {
                    node.awaitVerified(agent);
                }
                Wait.until("the agent logs a warning", () -> {
                    assertThat(ask(agent, token).status()).isEqualTo(200);
                    assertThat(ask(agent, noAssociation).status()).isEqualTo(403);
                    return agent.lines("\"level\":\"warning\"", rule) > 0;
                });

                // Then
                assertThat(ask(agent, token).status()).isEqualTo(200);
                assertThat(agent.lines("\"level\":\"warning\"", rule, "(HTTP 403)")).isOne();
                assertThat(agent.lines("give its service account a role")).as("no other permission is missing").isOne();
                given().port(agent.port("probes")).get("/readyz").then().statusCode(200);
            }
        } finally {
            bindings.forEach(binding -> cluster.administrator().resource(new ClusterRoleBindingBuilder(binding)
                    .editMetadata().withResourceVersion(null).withUid(null).endMetadata()
                    .build()).create());
        }
    }

    /** Returns the bindings that grant a permission. By default, an API server also lets every service account read its keys. */
    private static List<ClusterRoleBinding> bindings(RealCluster cluster, String permission) {
        Stream<String> names = permission.equals("keys")
                ? Stream.of("eks-pod-identity-agent-keys", "system:service-account-issuer-discovery")
                : Stream.of("eks-pod-identity-agent-" + permission);
        return names.map(name -> cluster.administrator().rbac().clusterRoleBindings().withName(name).get()).toList();
    }

    /** Waits until the API server applies the change, because it updates its view of the roles with a delay. */
    private static void awaitForbidden(RealCluster cluster, String permission) {
        String[] question = switch (permission) {
            case "keys" -> new String[] {"get", "/openid/v1/jwks"};
            case "token-review" -> new String[] {"create", "tokenreviews.authentication.k8s.io"};
            case "pods" -> new String[] {"list", "pods", "--all-namespaces"};
            case "events" -> new String[] {"create", "events"};
            default -> new String[] {"patch", "nodes"};
        };
        String[] asked = Stream.concat(
                        Stream.of("auth", "can-i", "--as=" + RealCluster.AGENT_USER, "--as-group=system:serviceaccounts"),
                        Stream.of(question))
                .toArray(String[]::new);
        Wait.until("the permission is removed", () -> cluster.api().tryKubectl(asked).output().strip().endsWith("no"));
    }
}
