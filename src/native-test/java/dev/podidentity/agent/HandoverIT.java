package dev.podidentity.agent;

import static dev.podidentity.agent.RawHttp.request;
import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.emulator.EksAuthEmulator;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.io.TempDir;

/** A new agent takes over from an old one on the same addresses and ports. */
@Timeout(300)
class HandoverIT {

    private static final int HAND_OVERS = 10;
    private static final String IPV6 = "::1";

    private final List<AgentProcess> agents = new ArrayList<>();
    private EksAuthEmulator emulator;
    private int port;
    private int probePort;
    private int metricsPort;

    @BeforeEach
    void start() throws IOException {
        emulator = Emulators.start();
        try (ServerSocket first = free(); ServerSocket second = free(); ServerSocket third = free()) {
            port = first.getLocalPort();
            probePort = second.getLocalPort();
            metricsPort = third.getLocalPort();
        }
    }

    @AfterEach
    void stop() {
        agents.forEach(AgentProcess::close);
        emulator.close();
    }

    private static ServerSocket free() throws IOException {
        return new ServerSocket(0, 1, InetAddress.getByName(AgentProcess.LOOPBACK));
    }

    /** Only for the native executable: a JVM cannot direct new connections elsewhere, and loses a few. */
    @Test
    @EnabledIfSystemProperty(named = "agent.executable", matches = ".+")
    void noClientNoticesThatAgentsTakeOverFromOneAnother() {
        // Given
        AgentProcess serving = agent();
        try (HandoverClients clients = new HandoverClients(emulator, port, probePort, metricsPort)) {
            clients.awaitRounds(1);
            for (int i = 0; i < HAND_OVERS; i++) {
                // When
                AgentProcess next = agent();
                awaitListening(next);
                clients.awaitRounds(1);
                serving.terminate();

                // Then
                assertThat(serving.awaitExit()).isZero();
                assertThat(serving.lines("some may be lost")).isZero();
                assertThat(serving.lines("takes over", "\"credentials\"")).as("of both families").isEqualTo(2);
                serving = next;
                clients.awaitRounds(1);
            }
            clients.stop();

            assertThat(clients.problems()).isEmpty();
            assertThat(clients.served()).isGreaterThan(HAND_OVERS * HandoverClients.NUMBER);
        }
    }

    @Test
    void aConnectionThatIsKeptOpenGetsALastAnswerFromTheOldAgent() throws IOException {
        // Given
        AgentProcess old = agent("--shutdown-timeout", "60s");
        try (RawHttp kept = new RawHttp(port); RawHttp idle = new RawHttp(port)) {
            assertThat(kept.askAsSdk(token("kept")).status()).isEqualTo(200);
            assertThat(idle.askAsSdk(token("idle")).status()).isEqualTo(200);
            awaitListening(agent());

            // When
            old.terminate();
            old.awaitLine(line -> line.contains("No longer accepting connections"));
            RawHttp.Answer last = kept.askAsSdk(token("kept"));

            // Then
            assertThat(last.status()).isEqualTo(200);
            assertThat(last.header("connection")).contains("close");
            assertThat(RawHttp.askAsSdk(port, token("kept")).status()).as("of the new agent").isEqualTo(200);
        }
        assertThat(old.awaitExit()).as("once the client has closed its idle connection").isZero();
    }

    @Test
    void aNewAgentThatCannotServeLeavesTheNodeToTheOldOneUntilItCan(@TempDir Path directory) throws IOException {
        // Given
        AgentProcess old = agent();
        Path credentials = directory.resolve("credentials");

        // When
        AgentProcess late = add(AgentProcess.run(
                Map.of("AWS_REGION", emulator.region(), "AWS_EC2_METADATA_DISABLED", "true",
                        "AWS_SHARED_CREDENTIALS_FILE", credentials.toString()),
                Stream.concat(
                                Stream.of("server", "--cluster-name", emulator.clusterName(),
                                        "--endpoint", emulator.endpoint().toString(), "--startup-grace", "0",
                                        "--rotate-credentials"),
                                Stream.of(where()))
                        .toArray(String[]::new)));
        late.awaitLine(line -> line.contains("waiting until this one can take over") && line.contains("credentials"));
        late.awaitLine(line -> line.contains("waiting until this one can take over") && line.contains("probes"));
        late.awaitLine(line -> line.contains("own AWS credentials cannot be found"));

        // Then
        for (int i = 0; i < 50; i++) {
            assertThat(RawHttp.askAsSdk(port, token("pod")).status()).isEqualTo(200);
            assertThat(RawHttp.exchange(probePort, request("GET", "/readyz", "Host: localhost")).status()).isEqualTo(200);
        }
        assertThat(late.lines("\"Listening\"")).isZero();

        // When
        Files.writeString(credentials, "[default]\naws_access_key_id = " + emulator.accessKeyId()
                + "\naws_secret_access_key = " + emulator.secretAccessKey() + "\n");

        // Then
        awaitListening(late);
        old.terminate();
        assertThat(old.awaitExit()).isZero();
        assertThat(RawHttp.askAsSdk(port, token("pod")).status()).isEqualTo(200);
    }

    @Test
    void aNewAgentServesAsSoonAsTheOldOneIsGoneThoughItIsNotReady() throws IOException {
        // Given
        AgentProcess old = agent();
        AgentProcess late = add(AgentProcess.run(
                Map.of("AWS_REGION", emulator.region(), "AWS_EC2_METADATA_DISABLED", "true"),
                Stream.concat(
                                Stream.of("server", "--cluster-name", emulator.clusterName(),
                                        "--endpoint", emulator.endpoint().toString()),
                                Stream.of(where()))
                        .toArray(String[]::new)));
        late.awaitLine(line -> line.contains("waiting until this one can take over"));

        // When
        old.kill();

        // Then
        awaitListening(late);
        assertThat(RawHttp.exchange(port, request(token("pod"))).status()).as("it has no credentials").isEqualTo(503);
    }

    @Test
    void aNewAgentThatIsKilledLeavesTheNodeToTheOldOne() throws IOException {
        // Given
        AgentProcess old = agent();

        // When: killed during its startup
        AgentProcess killed = add(AgentProcess.run(
                AgentProcess.environment(emulator), "server", "--cluster-name", emulator.clusterName()));
        killed.kill();
        // When: killed while both listen
        AgentProcess second = agent();
        awaitListening(second);
        second.kill();

        // Then
        for (int i = 0; i < 50; i++) {
            assertThat(RawHttp.askAsSdk(port, token("pod")).status()).isEqualTo(200);
        }
        AgentProcess third = agent();
        awaitListening(third);
        old.terminate();
        assertThat(old.awaitExit()).isZero();
        assertThat(RawHttp.askAsSdk(port, token("pod")).status()).isEqualTo(200);
    }

    @Test
    void anOldAgentThatIsKilledWhileItDrainsTakesOnlyItsOwnConnectionsWithIt() throws IOException {
        // Given
        AgentProcess old = agent("--shutdown-timeout", "10m");
        try (RawHttp kept = new RawHttp(port)) {
            assertThat(kept.askAsSdk(token("pod")).status()).isEqualTo(200);
            awaitListening(agent());
            old.terminate();
            old.awaitLine(line -> line.contains("No longer accepting connections"));

            // When
            old.kill();

            // Then
            assertThat(kept.closedByPeer()).isTrue();
            for (int i = 0; i < 50; i++) {
                assertThat(RawHttp.askAsSdk(port, token("pod")).status()).isEqualTo(200);
            }
        }
    }

    /** Until the hanging agent is killed, the kernel gives it some of the new connections. */
    @Test
    void anOldAgentThatHangsIsReplaced() throws IOException {
        // Given
        AgentProcess old = agent();
        NetworkNamespace.run(List.of("kill", "-STOP", Long.toString(old.pid())));

        // When
        awaitListening(agent());
        old.kill();

        // Then
        for (int i = 0; i < 50; i++) {
            assertThat(RawHttp.askAsSdk(port, token("pod")).status()).isEqualTo(200);
        }
    }

    /** An agent that was restarted in its container is the newer one, although the other was meant to take over from it. */
    @Test
    @EnabledIfSystemProperty(named = "agent.executable", matches = ".+")
    void anAgentThatJoinedLaterLeavesToTheOneThatWasThereBefore() {
        // Given
        AgentProcess first = agent();
        AgentProcess second = agent();
        awaitListening(second);
        try (HandoverClients clients = new HandoverClients(emulator, port, probePort, metricsPort)) {
            clients.awaitRounds(1);

            // When
            second.terminate();

            // Then
            assertThat(second.awaitExit()).isZero();
            clients.awaitRounds(1);
            clients.stop();
            assertThat(clients.problems()).isEmpty();
        }
        assertThat(first.lines("\"Stopping\"")).isZero();
    }

    @Test
    void aStopWithNobodyToTakeOverWaitsForNoIdleConnection() throws IOException {
        // Given
        AgentProcess agent = agent("--shutdown-timeout", "10m");
        try (RawHttp idle = new RawHttp(port)) {
            assertThat(idle.askAsSdk(token("pod")).status()).isEqualTo(200);

            // When
            agent.terminate();

            // Then
            assertThat(agent.awaitExit()).isZero();
            assertThat(idle.closedByPeer()).isTrue();
            assertThat(agent.lines("takes over")).isZero();
        }
    }

    @Test
    void aPortThatCannotBeSharedIsBoundAsSoonAsItIsLeft() throws IOException {
        // Given
        AgentProcess agent;
        try (ServerSocket reference = new ServerSocket(port, 1, InetAddress.getByName(AgentProcess.LOOPBACK))) {
            assertThat(reference.isBound()).isTrue();
            agent = agent("--bind-retry-interval", "10m");
            agent.awaitLine(line -> line.contains("cannot be bound") && line.contains("in use"));
        }

        // Then
        agent.awaitLine(line -> line.contains("\"Listening\"") && line.contains("credentials")
                && line.contains(AgentProcess.LOOPBACK));
    }

    @Test
    void theStartupProbeTakesNoOtherContainersAgentForItsOwn() {
        // Given
        List<String> probe = Stream.concat(
                        AgentProcess.command().stream(), Stream.of("probe", "--probe-port", Integer.toString(probePort)))
                .toList();
        List<String> inAnotherContainer =
                Stream.concat(Stream.of("unshare", "--pid", "--fork", "--mount-proc"), probe.stream()).toList();

        // Then
        NetworkNamespace.Result nobody = NetworkNamespace.execute(probe);
        assertThat(nobody.code()).isEqualTo(1);
        assertThat(nobody.output()).contains("does not listen");
        agent();
        assertThat(NetworkNamespace.execute(probe).code()).isZero();
        NetworkNamespace.Result other = NetworkNamespace.execute(inAnotherContainer);
        assertThat(other.code()).isEqualTo(1);
        assertThat(other.output()).contains("another agent serves");
    }

    private AgentProcess agent(String... flags) {
        return add(AgentProcess.start(emulator, Stream.concat(Stream.of(where()), Stream.of(flags)).toArray(String[]::new)));
    }

    private AgentProcess add(AgentProcess agent) {
        agents.add(agent);
        return agent;
    }

    private String[] where() {
        return new String[] {
            "--port", Integer.toString(port), "--bind-hosts", AgentProcess.LOOPBACK, "--bind-hosts", IPV6,
            "--probe-port", Integer.toString(probePort),
            "--metrics-address", AgentProcess.LOOPBACK, "--metrics-port", Integer.toString(metricsPort)
        };
    }

    private static void awaitListening(AgentProcess agent) {
        for (String listener : new String[] {"credentials", "probes", "metrics"}) {
            agent.awaitLine(line -> line.contains("\"Listening\",\"listener\":\"" + listener));
        }
        agent.awaitLine(line -> line.contains("\"Listening\"") && line.contains("[::1]"));
    }

    private String token(String pod) {
        return Emulators.token(emulator, pod);
    }
}
