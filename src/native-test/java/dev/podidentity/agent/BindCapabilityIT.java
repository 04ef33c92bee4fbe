package dev.podidentity.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.podidentity.emulator.EksAuthEmulator;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The executable as in the image, with capabilities that are permitted but not effective, and run as in its containers. */
class BindCapabilityIT {

    private static final String NOBODY = "--reuid 65532 --regid 65532 --clear-groups";
    private static final String ONLY_BIND = NOBODY + " --bounding-set -all,+net_bind_service";
    /**
     * Like a container runtime that starts a process without privilege escalation: the process has the capability before it
     * executes the file. setpriv keeps the capability in the ambient set when it changes the user; the file's capability
     * clears that set.
     */
    private static final String NO_NEW_PRIVILEGES = ONLY_BIND
            + " --inh-caps -all,+net_bind_service --ambient-caps -all,+net_bind_service --no-new-privs";

    private NetworkNamespace node;
    private Path executable;

    @TempDir
    private Path directory;

    @BeforeEach
    void start() throws IOException {
        node = NetworkNamespace.create();
        node.ip("link set lo up");
        Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwxr-xr-x"));
        executable = Files.copy(Path.of(System.getProperty("agent.executable")), directory.resolve("agent"));
    }

    @AfterEach
    void stop() {
        // Null when the test was skipped.
        if (node != null) {
            node.close();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {ONLY_BIND, NO_NEW_PRIVILEGES})
    void nobodyBindsPort80WithThePermittedCapability(String restricted) {
        // Given
        permit();

        try (EksAuthEmulator emulator = Emulators.start();
                AgentProcess agent = serve(emulator, restricted)) {
            // Then
            agent.awaitLine(line -> line.contains("\"msg\":\"Listening\"") && line.contains("\"address\":\"127.0.0.1:80\""));
        }
    }

    @Test
    void nobodyCannotBindPort80Without() {
        try (EksAuthEmulator emulator = Emulators.start();
                AgentProcess agent = serve(emulator, ONLY_BIND)) {
            agent.awaitLine(line -> line.contains("cannot be bound") && line.contains("NET_BIND_SERVICE"));
        }
    }

    @Test
    void theSameFileRunsInAnInitContainerThatHasOnlyNetAdmin() {
        // Given
        permit();

        // When
        AgentProcess agent = AgentProcess.run(
                restricted("--bounding-set -all,+net_admin"), Map.of(), "initialize");

        // Then
        assertThat(agent.awaitExit()).as(() -> String.join("\n", agent.output())).isZero();
        assertThat(node.ip("address show")).contains("169.254.170.23/32");
    }

    /**
     * The kernel hides the descriptors of a process with such a file from other processes; the agent must still find its
     * own.
     */
    @ParameterizedTest
    @ValueSource(strings = {ONLY_BIND, NO_NEW_PRIVILEGES})
    void nobodyHandsOverToAnotherAgentOfNobody(String restricted) {
        // Given
        permit();

        try (EksAuthEmulator emulator = Emulators.start();
                AgentProcess old = serve(emulator, restricted)) {
            awaitListening(old);
            try (AgentProcess next = serve(emulator, restricted)) {
                awaitListening(next);

                // When
                old.terminate();

                // Then
                assertThat(old.awaitExit()).isZero();
                assertThat(old.lines("takes over")).as("of credentials, probes and metrics").isEqualTo(3);
                assertThat(old.lines("some may be lost")).isZero();
            }
        }
    }

    @Test
    void nobodySharesNoPortWithAnotherUserAndTakesItWhenThatOneLeaves() {
        // Given
        permit();

        try (EksAuthEmulator emulator = Emulators.start();
                AgentProcess root = serve(emulator, "--bounding-set -all,+net_bind_service")) {
            awaitListening(root);
            try (AgentProcess nobody = serve(emulator, ONLY_BIND)) {
                nobody.awaitLine(line -> line.contains("cannot be bound") && line.contains("127.0.0.1:80"));

                // When
                root.terminate();

                // Then
                assertThat(root.awaitExit()).isZero();
                assertThat(root.lines("takes over")).isZero();
                awaitListening(nobody);
            }
        }
    }

    private static void awaitListening(AgentProcess agent) {
        for (String listener : List.of("credentials", "probes", "metrics")) {
            agent.awaitLine(line -> line.contains("\"Listening\",\"listener\":\"" + listener));
        }
    }

    private void permit() {
        NetworkNamespace.Result permitted =
                NetworkNamespace.execute(List.of("setcap", "cap_net_bind_service,cap_net_admin=p", executable.toString()));
        assumeTrue(permitted.code() == 0, () -> "cannot give files capabilities here: " + permitted.output());
    }

    private AgentProcess serve(EksAuthEmulator emulator, String restricted) {
        return AgentProcess.run(restricted(restricted), AgentProcess.environment(emulator),
                "server", "--cluster-name", emulator.clusterName(), "--endpoint", emulator.endpoint().toString(),
                "--bind-hosts", AgentProcess.LOOPBACK);
    }

    private List<String> restricted(String how) {
        List<String> command = new ArrayList<>(node.inside("setpriv"));
        command.addAll(List.of(how.split(" ")));
        command.add(executable.toString());
        return command;
    }
}
