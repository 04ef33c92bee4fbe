package dev.podidentity.agent;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.emulator.EksAuthEmulator;
import io.vertx.core.Vertx;
import io.vertx.core.net.NetClient;
import io.vertx.core.net.NetServer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The whole way, on the addresses that EKS promises: a namespace that stands for a node, where {@code initialize} and
 * then {@code server} run with their defaults, and one that stands for a pod, joined to it as the VPC CNI does it, by a
 * link whose end on the node has no address, with a default route to a neighbour that is only made up.
 */
class NodeAndPodIT {

    /** Of the range that is set aside for tests between networks (RFC 2544). */
    private static final String MACHINE = "198.18.23.1";
    private static final String MACHINE_END = "agent" + ProcessHandle.current().pid();
    private static final String NODE = "198.18.23.2";
    private static final String POD = "198.18.24.2";
    private static final String POD_IPV6 = "fd5b:1::2";
    private static final String NODE_IPV6 = "fd5b::2";

    private static final Duration PATIENCE = Duration.ofMinutes(1);

    private NetworkNamespace node;
    private NetworkNamespace pod;
    private EksAuthEmulator emulator;
    private Vertx vertx;
    private AgentProcess agent;

    @TempDir
    private Path directory;

    @BeforeEach
    void start() {
        node = NetworkNamespace.create();
        pod = NetworkNamespace.create();
        joinMachineAndNode();
        joinNodeAndPod();
        emulator = Emulators.start();
        vertx = Vertx.vertx();
        int port = forwardToEmulator();

        AgentProcess initialize = AgentProcess.run(node.inside(executable()), Map.of(), "initialize");
        assertThat(initialize.awaitExit()).as(() -> String.join("\n", initialize.output())).isZero();
        agent = AgentProcess.run(node.inside(executable()), AgentProcess.environment(emulator),
                "server", "--cluster-name", emulator.clusterName(), "--endpoint", "http://" + MACHINE + ":" + port,
                "--verbosity", "trace");
        agent.keepsSecret(emulator.secretAccessKey());
        agent.awaitLine(line -> line.contains("\"address\":\"169.254.170.23:80\""));
        agent.awaitLine(line -> line.contains("\"address\":\"[fd00:ec2::23]:80\""));
        agent.awaitLine(line -> line.contains("Ready to call EKS Auth"));
        agent.awaitLine(line -> line.contains("own AWS credentials are found"));
    }

    @AfterEach
    void stop() {
        // What was not made, as the test was skipped, is null.
        if (agent != null) {
            agent.close();
        }
        if (vertx != null) {
            vertx.close().toCompletionStage().toCompletableFuture().join();
        }
        if (emulator != null) {
            emulator.close();
        }
        if (pod != null) {
            pod.close();
        }
        if (node != null) {
            // It would go with the namespace, but some time later.
            NetworkNamespace.execute(List.of("ip", "link", "delete", MACHINE_END));
            node.close();
        }
    }

    @ParameterizedTest
    @MethodSource("workloads")
    void aPodGetsCredentialsWithWhatEksInjects(Workload workload, String address, Map<String, String> more)
            throws IOException, InterruptedException {
        // Given
        Path token = Files.writeString(directory.resolve("eks-pod-identity-token"),
                Emulators.token(emulator, "pod-at-" + address));
        ProcessBuilder builder = new ProcessBuilder(pod.inside(workload.command().toArray(String[]::new)));
        builder.environment().keySet().retainAll(Set.of("PATH"));
        builder.environment().putAll(more);
        builder.environment().putAll(Map.of(
                "HOME", directory.toString(),
                "AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://" + address + "/v1/credentials",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token.toString()));

        // When
        Finished run = Finished.run(builder, directory.resolve("workload.log"), PATIENCE);

        // Then
        assertThat(run.exitCode()).as(run.output()).isZero();
        assertThat(run.output().lines()).anyMatch(line -> line.matches("access key id: ASIA\\w+"));
    }

    static Stream<Arguments> workloads() {
        return Stream.of(Workload.values()).flatMap(workload -> Stream.of(
                Arguments.of(workload, "169.254.170.23", Map.of()),
                // Without more, Java's SDK takes fd00:ec2::23 for an address that it must not ask.
                Arguments.of(workload, "[fd00:ec2::23]", workload == Workload.JAVA
                        ? Map.of("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv6")
                        : Map.of())));
    }

    /** On lo above all, the kernel would choose it for links that have none, as those to pods. */
    @Test
    void theNodeSendsToPodsFromItsOwnAddressAndNotFromTheAgents() {
        assertThat(node.ip("route get " + POD)).contains("src " + NODE);
        assertThat(node.ip("route get " + POD_IPV6)).contains("src " + NODE_IPV6);
    }

    private static String executable() {
        return System.getProperty("agent.executable");
    }

    /** The way from the agent to EKS Auth. */
    private void joinMachineAndNode() {
        NetworkNamespace.run(List.of("ip", "link", "add", MACHINE_END, "type", "veth",
                "peer", "name", "eth0", "netns", node.name()));
        NetworkNamespace.run(List.of("ip", "address", "add", MACHINE + "/30", "dev", MACHINE_END));
        NetworkNamespace.run(List.of("ip", "link", "set", MACHINE_END, "up"));
        node.ip("address add " + NODE + "/30 dev eth0");
        node.ip("address add " + NODE_IPV6 + "/128 dev eth0 nodad");
        node.ip("link set eth0 up");
    }

    private void joinNodeAndPod() {
        node.ip("link add pod0 type veth peer name eth0 netns " + pod.name());
        node.ip("link set pod0 up");
        node.ip("route add " + POD + " dev pod0");
        pod.ip("link set lo up");
        pod.ip("address add " + POD + "/32 dev eth0");
        pod.ip("address add " + POD_IPV6 + "/128 dev eth0 nodad");
        pod.ip("link set eth0 up");
        node.ip("-6 route add " + POD_IPV6 + " dev pod0");
        String nodeEnd = node.ip("-oneline link show dev pod0").replaceFirst("(?s).*link/ether (\\S+).*", "$1");
        pod.ip("route add 169.254.1.1 dev eth0");
        pod.ip("route add default via 169.254.1.1 dev eth0");
        pod.ip("neighbour add 169.254.1.1 lladdr " + nodeEnd + " dev eth0 nud permanent");
        pod.ip("-6 route add default via fe80::1 dev eth0");
        pod.ip("neighbour add fe80::1 lladdr " + nodeEnd + " dev eth0 nud permanent");
    }

    /** The emulator listens on this machine's loopback, which the node cannot reach. */
    private int forwardToEmulator() {
        NetClient client = vertx.createNetClient();
        NetServer server = vertx.createNetServer().connectHandler(socket -> {
            socket.pause();
            client.connect(emulator.endpoint().getPort(), AgentProcess.LOOPBACK).onSuccess(onward -> {
                socket.pipeTo(onward);
                onward.pipeTo(socket);
                socket.resume();
            });
        });
        return server.listen(0, MACHINE).toCompletionStage().toCompletableFuture().join().actualPort();
    }
}
