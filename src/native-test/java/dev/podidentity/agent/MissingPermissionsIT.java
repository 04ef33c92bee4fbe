package dev.podidentity.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import dev.podidentity.emulator.TokenRequest.Algorithm;
import java.io.IOException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** A permission that the agent's service account lacks only disables the feature that needs it. */
class MissingPermissionsIT {

    private static final String EVENTS = "/api/v1/namespaces/" + Emulators.NAMESPACE + "/events";
    private static final String NODE = "/api/v1/nodes/" + Cluster.NODE;
    private static final String FORBIDDEN =
            "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Failure\",\"reason\":\"Forbidden\",\"code\":403}";

    @TempDir
    private static Path directory;

    private static Cluster cluster;

    @BeforeAll
    static void start() throws IOException, InterruptedException {
        cluster = Cluster.start(directory);
    }

    @AfterAll
    static void stop() {
        cluster.close();
    }

    @AfterEach
    void permit() {
        Stream.of(Cluster.PODS, EVENTS, NODE).forEach(cluster.api()::answerFromObjects);
        cluster.review();
        cluster.publish(Algorithm.values());
    }

    static Stream<Arguments> features() {
        return Stream.of(
                arguments(Cluster.KEYS, List.of("--token-verification", "jwks"),
                        "nonResourceURLs /openid/v1/jwks with the verb get"),
                arguments(Cluster.REVIEWS, List.of("--token-verification", "token-review"),
                        "apiGroups authentication.k8s.io, resources tokenreviews with the verb create"),
                arguments(Cluster.PODS, List.of("--pod-watch"),
                        "apiGroups \\\"\\\", resources pods with the verbs list and watch"),
                arguments(EVENTS, List.of("--token-verification", "jwks", "--events"),
                        "apiGroups \\\"\\\", resources events with the verb create"),
                arguments(NODE, List.of("--startup-taint", "agent.example.com/not-ready"),
                        "apiGroups \\\"\\\", resources nodes with the verbs get and patch"));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("features")
    void areOneWarningThatNamesTheRuleAndTheAgentServes(String path, List<String> flags, String rule) throws IOException {
        // Given
        cluster.api().answer(path, 403, FORBIDDEN);
        try (AgentProcess agent = cluster.agent(flags.toArray(String[]::new))) {
            if (flags.contains("--events")) {
                Cluster.awaitKeys(agent, cluster.eksAuth());
            }

            // When: it is not the first refusal, which a starting API server gives everyone
            Map<String, Integer> pods = pods();
            do {
                askAll(agent, pods);
            } while (agent.lines("\"level\":\"warning\"", rule) == 0);
            String warning = agent.awaitLine(line -> line.contains("\"level\":\"warning\"") && line.contains(rule));
            askAll(agent, pods);

            // Then
            assertThat(warning).contains("(HTTP 403): give its service account a role with");
            assertThat(agent.lines("\"level\":\"warning\"", rule)).isOne();
        }
    }

    /**
     * Returns the tokens of pods that get credentials and of pods that get none because they have no association, with the
     * status.
     */
    private static Map<String, Integer> pods() {
        Map<String, Integer> pods = new HashMap<>();
        cluster.tokens(5).forEach(token -> pods.put(token, 200));
        for (int i = 0; i < 2; i++) {
            pods.put(cluster.mint(cluster.request(Emulators.NAMESPACE, "no-association", "pod-" + i)), 403);
        }
        return pods;
    }

    private static void askAll(AgentProcess agent, Map<String, Integer> pods) throws IOException {
        for (Map.Entry<String, Integer> pod : pods.entrySet()) {
            assertThat(RawHttp.askAsSdk(agent.port(), pod.getKey()).status()).isEqualTo(pod.getValue());
        }
    }
}
