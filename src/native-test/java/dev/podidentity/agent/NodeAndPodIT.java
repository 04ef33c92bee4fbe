package dev.podidentity.agent;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.LivingWorkload.Reply;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** The complete path on the addresses that EKS defines; {@code mvn -Psdks} tests more SDKs on it, with more faults. */
class NodeAndPodIT {

    private NodeAndPod place;
    private AgentProcess agent;

    @TempDir
    private Path directory;

    @BeforeEach
    void start() {
        place = NodeAndPod.create();
        place.initialize();
        agent = place.launchAgent("--verbosity", "trace");
        NodeAndPod.awaitReady(agent);
    }

    @AfterEach
    void stop() {
        // What was not made, as the test was skipped, is null.
        if (agent != null) {
            agent.close();
        }
        if (place != null) {
            place.close();
        }
    }

    @ParameterizedTest
    @MethodSource("workloads")
    void aPodGetsCredentialsWithWhatEksInjects(Workload workload, String address, Map<String, String> more) throws IOException {
        // Given
        List<String> command = place.pod().inside(workload.command().toArray(String[]::new));
        Path token = Files.writeString(directory.resolve("eks-pod-identity-token"),
                Emulators.token(place.emulator(), "pod-at-" + address));
        Map<String, String> environment = new HashMap<>(LivingWorkload.environment(address, token, directory));
        environment.putAll(more);

        // When
        Reply reply;
        try (LivingWorkload living = LivingWorkload.start(command, environment, directory.resolve("workload.log"))) {
            reply = living.ask("fresh");
        }

        // Then
        assertThat(reply.error()).isNull();
        assertThat(reply.accessKeyId()).startsWith("ASIA");
    }

    static Stream<Arguments> workloads() {
        return Workload.ofTheTests().flatMap(workload -> Stream.of(
                Arguments.of(workload, NodeAndPod.IPV4, Map.of()),
                Arguments.of(workload, NodeAndPod.IPV6, workload.environmentForIpv6())));
    }

    /**
     * On lo above all, the kernel would use the address as the source for links without an address, such as those to pods.
     */
    @Test
    void theNodeSendsToPodsFromItsOwnAddressAndNotFromTheAgents() {
        assertThat(place.node().ip("route get " + NodeAndPod.POD)).contains("src " + place.nodeAddress());
        assertThat(place.node().ip("route get " + NodeAndPod.POD_IPV6)).contains("src " + NodeAndPod.NODE_IPV6);
    }
}
