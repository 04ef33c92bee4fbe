package dev.podidentity.agent;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.kubernetes.Kustomize;
import io.fabric8.kubernetes.api.model.Node;
import io.fabric8.kubernetes.api.model.NodeBuilder;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The permissions in {@code kubernetes/verified} are exactly those that the agent uses. */
@Timeout(120)
class PermissionsIT {

    private static final String TAINT = "pods.eks.amazonaws.com/agent-not-ready";

    @TempDir
    private Path directory;

    @Test
    void areThoseThatTheAgentUsesWithAllFeaturesOn() throws IOException, InterruptedException {
        // Given
        try (Cluster cluster = Cluster.start(directory)) {
            Node node = new NodeBuilder()
                    .withNewMetadata().withName(Cluster.NODE).endMetadata()
                    .withNewSpec().addNewTaint().withKey(TAINT).withEffect("NoSchedule").endTaint().endSpec()
                    .build();
            cluster.api().client().resource(node).create();

            // When
            try (AgentProcess agent = cluster.verifyingAgent("--pod-watch", "--events", "--startup-taint", TAINT)) {
                agent.awaitLine(line -> line.contains("The startup taint was removed"));
                RawHttp.askAsSdk(agent.port(), cluster.mint(cluster.request("default", "no-association", "cart-1")));
                awaitAll(cluster, "POST /api/v1/namespaces/default/events", 1);
                // A list, then a watch.
                awaitAll(cluster, "GET " + Cluster.PODS, 2);
            }

            // Then
            assertThat(cluster.api().received().stream().flatMap(PermissionsIT::permission).collect(Collectors.toSet()))
                    .isEqualTo(allowed());
        }
    }

    private static void awaitAll(Cluster cluster, String methodAndPath, int times) {
        while (cluster.api().received(methodAndPath) < times) {
            Thread.onSpinWait();
        }
    }

    /** Returns the permission that a request needs, as in RBAC rules, or the request itself if it is unknown. */
    private static Stream<String> permission(String request) {
        return switch (request.replaceFirst("/namespaces/[^/]+/", "/namespaces/*/")) {
            case "GET " + Cluster.KEYS -> Stream.of("get " + Cluster.KEYS);
            case "GET " + Cluster.PODS -> Stream.of("list pods", "watch pods");
            case "POST /api/v1/namespaces/*/events" -> Stream.of("create events");
            case "GET /api/v1/nodes/" + Cluster.NODE -> Stream.of("get nodes");
            case "PATCH /api/v1/nodes/" + Cluster.NODE -> Stream.of("patch nodes");
            default -> Stream.of(request);
        };
    }

    private static Set<String> allowed() {
        return Kustomize.render(Path.of("kubernetes/verified")).stream()
                .filter(document -> document.get("kind").equals("ClusterRole"))
                .flatMap(role -> ((List<?>) role.get("rules")).stream())
                .map(rule -> (Map<?, ?>) rule)
                .flatMap(rule -> strings(rule, "verbs").flatMap(verb ->
                        Stream.concat(strings(rule, "resources"), strings(rule, "nonResourceURLs")).map(what -> verb + ' ' + what)))
                .collect(Collectors.toSet());
    }

    private static Stream<String> strings(Map<?, ?> rule, String name) {
        return rule.get(name) instanceof List<?> list ? list.stream().map(Object::toString) : Stream.empty();
    }
}
