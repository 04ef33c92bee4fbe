package dev.podidentity.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The native executable, started under the name of Kubernetes' go-runner. */
class GoRunnerIT {

    private static final String VERSION = "eks-pod-identity-agent \\d+\\.\\d+\\.\\d+.*\\n";
    private static final String MISTAKE = "Error: Unmatched argument.*\\n";

    @TempDir
    private Path directory;

    private Path log;

    @BeforeEach
    void link() throws IOException {
        assumeTrue(System.getProperty("agent.executable") != null, "needs the native executable: mvn verify -Dnative");
        Files.createSymbolicLink(directory.resolve("go-runner"), Path.of(System.getProperty("agent.executable")));
        log = directory.resolve("log");
    }

    @Test
    void runsTheAgentInItsPlace() throws IOException {
        // When
        Ran ran = run("/eks-pod-identity-agent", "version");

        // Then
        assertThat(ran.exitCode()).isZero();
        assertThat(ran.stdout()).matches(VERSION);
        assertThat(ran.stderr()).isEmpty();
    }

    @Test
    void endsWithTheAgentsExitCodeAndHasItsErrorsAmongItsOutput() throws IOException {
        // When
        Ran ran = run("/eks-pod-identity-agent", "version", "please");

        // Then
        assertThat(ran.exitCode()).isEqualTo(2);
        assertThat(ran.stdout()).matches(MISTAKE);
        assertThat(ran.stderr()).isEmpty();
    }

    @Test
    void leavesErrorsWhereTheyBelongIfItIsToldTo() throws IOException {
        // When
        Ran ran = run("--redirect-stderr=false", "/eks-pod-identity-agent", "version", "please");

        // Then
        assertThat(ran.stdout()).isEmpty();
        assertThat(ran.stderr()).matches(MISTAKE);
    }

    @Test
    void appendsOutputAndErrorsToAFile() throws IOException {
        // Given
        Files.writeString(log, "before\n");

        // When
        Ran good = run("--log-file=" + log, "/eks-pod-identity-agent", "version");
        Ran bad = run("--log-file", log.toString(), "/eks-pod-identity-agent", "version", "please");

        // Then
        assertThat(good.stdout() + good.stderr() + bad.stdout() + bad.stderr()).isEmpty();
        assertThat(log).content().matches("before\n" + VERSION + MISTAKE);
    }

    @Test
    void writesToBothIfItIsToldTo() throws IOException {
        // When
        Ran ran = run("--log-file=" + log, "--also-stdout", "/eks-pod-identity-agent", "server", "--help");

        // Then
        assertThat(ran.stdout()).contains("--cluster-name", "--service-account-path");
        assertThat(log).content().isEqualTo(ran.stdout());
    }

    @ParameterizedTest
    @ValueSource(strings = {"/bin/sh -c true", "--flush /eks-pod-identity-agent version", "--log-file=/no/such/file"
            + " /eks-pod-identity-agent"})
    void saysInOneLineWhatItCannotDo(String arguments) throws IOException {
        // When
        Ran ran = run(arguments.split(" "));

        // Then
        assertThat(ran.exitCode()).isEqualTo(2);
        assertThat(ran.stderr()).matches("Error: .+\n");
        assertThat(ran.stdout()).isEmpty();
    }

    private Ran run(String... arguments) throws IOException {
        List<String> command = new ArrayList<>(List.of(directory.resolve("go-runner").toString()));
        command.addAll(List.of(arguments));
        Path stderr = directory.resolve("stderr");
        Process process = new ProcessBuilder(command).redirectError(stderr.toFile()).start();
        String stdout = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        return new Ran(process.onExit().join().exitValue(), stdout, Files.readString(stderr));
    }

    private record Ran(int exitCode, String stdout, String stderr) {}
}
