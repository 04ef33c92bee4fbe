package dev.podidentity.agent.doctor;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.network.PortOwners;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** With a procfs made of files, on a machine with the least significant byte first. */
class PortCheckTest {

    private static final String HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid "
            + " timeout inode\n";
    private static final String AGENTS = "17AAFEA9:0050";
    private static final String PROBES = "0100007F:0A8F";
    private static final String METRICS = "00000000:0A91";
    private static final String ALL = "00000000:0050";

    @TempDir
    private Path proc;

    @BeforeEach
    void start() throws IOException {
        Files.createDirectories(proc.resolve("self/net"));
    }

    @ParameterizedTest
    @CsvSource({
        "/eks-pod-identity-agent server, eks-pod-identit",
        "/go-runner /eks-pod-identity-agent server, go-runner",
        "java -jar target/quarkus-app/quarkus-run.jar server, java"
    })
    void isContentWithAnAgentOnAllItsPorts(String commandLine, String name) throws IOException {
        // Given
        sockets(AGENTS, PROBES, METRICS);
        process(1, commandLine, 0, 1, 2);

        // Then
        assertThat(examine()).containsExactly(
                Finding.ok(name + " (process 1) listens on 169.254.170.23:80"),
                Finding.ok(name + " (process 1) listens on 127.0.0.1:2703"),
                Finding.ok(name + " (process 1) listens on 0.0.0.0:2705"));
    }

    @Test
    void failsWhereNobodyListens() throws IOException {
        sockets(PROBES, METRICS);

        assertThat(examine()).first().isEqualTo(Finding.fail(
                "No process listens on 169.254.170.23:80: pods request credentials there", "Start the agent, or read its log"));
    }

    @ParameterizedTest
    @CsvSource({
        "/usr/sbin/nginx, nginx",
        "java -jar catalogue.jar server, java",
        "/go-runner /kube-proxy, go-runner"
    })
    void failsOnAnotherProcessThatTakesThePortOnAllAddresses(String commandLine, String name) throws IOException {
        // Given
        sockets(ALL, PROBES, METRICS);
        process(12, commandLine, 0);

        // Then
        assertThat(examine()).first().isEqualTo(Finding.fail(
                name + " (process 12) listens on 169.254.170.23:80: pods request credentials there",
                "Stop it, or make it listen on other addresses"));
    }

    @Test
    void isContentWithAnotherProcessOnAllOtherAddresses() throws IOException {
        // Given
        sockets(AGENTS, PROBES, METRICS, ALL);
        process(1, "/eks-pod-identity-agent server", 0, 1, 2);
        process(12, "/usr/sbin/nginx", 3);

        // Then
        assertThat(examine()).extracting(Finding::status).containsOnly(Status.OK);
    }

    @Test
    void saysThatItCannotSeeWhoListens() throws IOException {
        sockets(AGENTS, PROBES, METRICS);

        assertThat(examine()).first().isEqualTo(
                Finding.ok("a process that cannot be seen from here listens on 169.254.170.23:80"));
    }

    @Test
    void skipsWhatTheKernelDoesNotTell() throws IOException {
        Files.createDirectory(proc.resolve("self/net/tcp"));

        assertThat(examine()).extracting(Finding::status).containsOnly(Status.SKIP);
    }

    private List<Finding> examine() {
        return new PortCheck(Settings.with(), new PortOwners(proc), new RunningAgent(proc), false).examine();
    }

    /** The number of each is its inode. */
    private void sockets(String... addresses) throws IOException {
        StringBuilder table = new StringBuilder(HEAD);
        for (int i = 0; i < addresses.length; i++) {
            table.append("   0: ").append(addresses[i]).append(" 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 ")
                    .append(i).append(" 1 0 100 0 0 10 0\n");
        }
        Files.writeString(proc.resolve("self/net/tcp"), table);
    }

    private void process(int id, String commandLine, int... inodes) throws IOException {
        Path process = Files.createDirectories(proc.resolve(String.valueOf(id)).resolve("fd")).getParent();
        List<String> arguments = List.of(commandLine.split(" "));
        String name = Path.of(arguments.get(0)).getFileName().toString();
        Files.writeString(process.resolve("comm"), name.substring(0, Math.min(name.length(), 15)) + "\n");
        Files.writeString(process.resolve("cmdline"), String.join("\0", arguments) + '\0');
        for (int inode : inodes) {
            Files.createSymbolicLink(process.resolve("fd").resolve(String.valueOf(inode + 3)), Path.of("socket:[" + inode + "]"));
        }
    }
}
