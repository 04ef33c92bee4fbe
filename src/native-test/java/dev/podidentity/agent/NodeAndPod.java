package dev.podidentity.agent;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.emulator.EksAuthEmulator;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.net.NetClient;
import io.vertx.core.net.NetServer;
import io.vertx.core.net.NetSocket;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * A node and a pod on the addresses that EKS defines. One namespace represents a node, where {@code initialize} and then
 * {@code server} run with their defaults. Another represents a pod, connected as by the VPC CNI: by a link whose end on the
 * node has no address, with a default route to a fictitious neighbor. The pod cannot reach IMDS. EKS Auth is an emulator on
 * this machine; the node reaches it through a forwarder, which can be closed.
 */
final class NodeAndPod implements AutoCloseable {

    static final String IPV4 = "169.254.170.23";
    static final String IPV6 = "[fd00:ec2::23]";
    /** The pod's network, from a range reserved for tests (RFC 2544), to avoid conflicts with other uses on this machine. */
    static final String POD = "198.19.24.2";
    static final String POD_IPV6 = "fd5b:1::2";
    static final String NODE_IPV6 = "fd5b::2";

    private static final String LISTENING = "\"msg\":\"Listening\"";
    /** The log lines of an agent that is ready. */
    private static final List<List<String>> READY = List.of(
            List.of(LISTENING, "\"address\":\"169.254.170.23:80\""),
            List.of(LISTENING, "\"address\":\"[fd00:ec2::23]:80\""),
            List.of("Ready to call EKS Auth"),
            List.of("own AWS credentials were found"));

    /** Numbers the networks between this machine and its nodes, 198.18.n.0/30; other processes start elsewhere. */
    private static final AtomicInteger NUMBERS = new AtomicInteger((int) ProcessHandle.current().pid() * 16);

    private final String machine;
    private final String machineEnd;
    private final String nodeAddress;

    private final NetworkNamespace node;
    private final NetworkNamespace pod;
    private final EksAuthEmulator emulator;
    private final Vertx vertx = Vertx.vertx();
    private final NetClient onward = vertx.createNetClient();
    private final Set<NetSocket> forwarded = ConcurrentHashMap.newKeySet();
    private NetServer forwarder;
    private int port;

    private NodeAndPod(NetworkNamespace node, NetworkNamespace pod) {
        int number = NUMBERS.getAndIncrement() & 0xff;
        this.machine = "198.18." + number + ".1";
        this.nodeAddress = "198.18." + number + ".2";
        this.machineEnd = "agent" + ProcessHandle.current().pid() + "-" + number;
        this.node = node;
        this.pod = pod;
        joinMachineAndNode();
        joinNodeAndPod();
        emulator = Emulators.start();
        heal();
    }

    /** Creates a node and a pod; skips the test if that is not permitted. */
    static NodeAndPod create() {
        NetworkNamespace node = NetworkNamespace.create();
        NetworkNamespace pod = NetworkNamespace.create();
        return new NodeAndPod(node, pod);
    }

    NetworkNamespace node() {
        return node;
    }

    NetworkNamespace pod() {
        return pod;
    }

    EksAuthEmulator emulator() {
        return emulator;
    }

    /** Returns the node's own address, for this machine and for its pods. */
    String nodeAddress() {
        return nodeAddress;
    }

    /** Returns the node's address for EKS Auth. */
    String eksAuthAddress() {
        return machine;
    }

    /** Returns the port of EKS Auth, which it uses until it refuses connections. */
    int port() {
        return port;
    }

    /** Runs {@code initialize}, which creates the node's link. */
    void initialize() {
        AgentProcess initialize = AgentProcess.run(node.inside(executable()), Map.of(), "initialize");
        assertThat(initialize.awaitExit()).as(() -> String.join("\n", initialize.output())).isZero();
    }

    /** Starts an agent; {@link #awaitReady} waits for it. */
    AgentProcess launchAgent(String... flags) {
        List<String> arguments = new ArrayList<>(List.of(
                "server", "--cluster-name", emulator.clusterName(), "--endpoint", "http://" + machine + ":" + port));
        arguments.addAll(List.of(flags));
        AgentProcess agent = AgentProcess.run(
                node.inside(executable()), AgentProcess.environment(emulator), arguments.toArray(String[]::new));
        agent.keepsSecret(emulator.secretAccessKey());
        return agent;
    }

    /** Waits until an agent listens on both addresses and can call EKS Auth. */
    static void awaitReady(AgentProcess agent) {
        READY.forEach(parts -> agent.awaitLine(line -> parts.stream().allMatch(line::contains)));
    }

    /** Returns whether the agent is ready now. */
    static boolean isReady(AgentProcess agent) {
        return READY.stream().allMatch(parts -> agent.lines(parts.toArray(String[]::new)) > 0);
    }

    private static String executable() {
        return System.getProperty("agent.executable");
    }

    /** Makes EKS Auth refuse connections from now on, and breaks the existing ones. */
    synchronized void refuseConnections() {
        if (forwarder == null) {
            return;
        }
        await(forwarder.close());
        forwarder = null;
        forwarded.forEach(NetSocket::close);
        // The kernel closes a listening socket slightly later than Java.
        while (await(onward.connect(port, machine).compose(NetSocket::close).map(true).otherwise(false))) {
            Thread.onSpinWait();
        }
    }

    /** Makes EKS Auth reachable again, without faults. */
    synchronized void heal() {
        emulator.heal();
        if (forwarder != null) {
            return;
        }
        forwarder = vertx.createNetServer().connectHandler(socket -> {
            socket.pause();
            forwarded.add(socket);
            socket.closeHandler(closed -> forwarded.remove(socket));
            onward.connect(emulator.endpoint().getPort(), AgentProcess.LOOPBACK).onSuccess(there -> {
                socket.pipeTo(there);
                there.pipeTo(socket);
                socket.resume();
            });
        });
        port = await(forwarder.listen(port, machine)).actualPort();
    }

    private static <T> T await(Future<T> future) {
        return future.toCompletionStage().toCompletableFuture().join();
    }

    /** Connects the agent to EKS Auth. */
    private void joinMachineAndNode() {
        NetworkNamespace.run(List.of("ip", "link", "add", machineEnd, "type", "veth", "peer", "name", "eth0", "netns", node.name()));
        NetworkNamespace.run(List.of("ip", "address", "add", machine + "/30", "dev", machineEnd));
        NetworkNamespace.run(List.of("ip", "link", "set", machineEnd, "up"));
        node.ip("address add " + nodeAddress + "/30 dev eth0");
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
        // SDKs that get no credentials from the agent call IMDS; this makes them fail at once.
        pod.ip("route add unreachable 169.254.169.254");
        pod.ip("-6 route add unreachable fd00:ec2::254");
    }

    @Override
    public void close() {
        await(vertx.close());
        emulator.close();
        pod.close();
        // The link would be removed with the namespace, but only later.
        NetworkNamespace.execute(List.of("ip", "link", "delete", machineEnd));
        node.close();
    }
}
