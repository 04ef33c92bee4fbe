package dev.podidentity.agent.doctor;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class RunningAgentTest {

    private static final String AGENT = "/eks-pod-identity-agent";
    private static final String NODE = "net:[4026531840]";
    private static final String OTHER_NODE = "net:[4026532271]";

    @TempDir
    private Path proc;

    @BeforeEach
    void startDoctor() throws IOException {
        process("self", AGENT, NODE, AGENT, "doctor");
    }

    @Test
    void readsHowTheAgentOfTheContainerWasStarted() throws IOException {
        // Given
        process("7", "/pause", NODE, "/pause");
        process("8", AGENT, NODE, AGENT, "doctor");
        process("1", AGENT, NODE, AGENT, "server", "-c", "prod", "--port", "8080");

        // Then
        assertThat(new RunningAgent(proc).arguments()).contains(List.of("server", "-c", "prod", "--port", "8080"));
    }

    /** What the kernel lets an ordinary user see of an executable that has file capabilities. */
    @ParameterizedTest
    @ValueSource(strings = {"/eks-pod-identity-agent server -c prod", "/go-runner /eks-pod-identity-agent server -c prod"})
    void findsAnAgentOfWhichOnlyTheCommandLineIsVisible(String commandLine) throws IOException {
        // Given
        commandLine("1", commandLine.split(" "));

        // Then
        assertThat(new RunningAgent(proc).arguments()).contains(List.of("server", "-c", "prod"));
    }

    static Stream<List<String>> commandLines() {
        return Stream.of(
                List.of(AGENT, AGENT),
                List.of("/opt/agent/eks-pod-identity-agent", "./eks-pod-identity-agent"),
                List.of(AGENT, "/usr/local/bin/pod-identity"),
                List.of("/eks-pod-identity-agent (deleted)", AGENT),
                List.of("/opt/old/eks-pod-identity-agent", "renamed"),
                List.of(AGENT, "/go-runner", AGENT),
                List.of("/go-runner", "/go-runner", "--log-file", "/var/log/agent.log", "--also-stdout", AGENT),
                List.of("/usr/lib/jvm/java-25/bin/java", "java", "-Xmx64m", "-jar", "target/quarkus-app/quarkus-run.jar"),
                List.of("/usr/bin/java", "agent-jvm", "-jar", "eks-pod-identity-agent-1.0.0-runner.jar"));
    }

    /** @param process the executable, and the command line up to the agent's own arguments */
    @ParameterizedTest
    @MethodSource("commandLines")
    void findsTheAgentUnderWhateverNameItRuns(List<String> process) throws IOException {
        // Given
        List<String> arguments = List.of("-v", "trace", "server", "-c", "prod");
        process("23", process.get(0), NODE,
                Stream.concat(process.stream().skip(1), arguments.stream()).toArray(String[]::new));

        // Then
        assertThat(new RunningAgent(proc).arguments()).contains(arguments);
    }

    static Stream<List<String>> others() {
        return Stream.of(
                List.of("/bin/sh", "/bin/sh", "-c", "server"),
                List.of(AGENT, AGENT),
                List.of(AGENT, AGENT, "doctor", "-c", "server"),
                List.of(AGENT, AGENT, "-v", "server", "initialize"),
                List.of("/usr/bin/kubectl", "kubectl", "exec", "agent-x2x7k", "--", AGENT, "server"),
                List.of("/go-runner", "/go-runner", "/kube-proxy", "server"),
                List.of("/go-runner", "/go-runner", "--unknown", AGENT, "server"),
                List.of("/usr/bin/java", "java", "-jar", "catalogue.jar", "server"),
                List.of("/usr/bin/java", "java", "-cp", "catalogue.jar", "Catalogue", "server"),
                List.of("/usr/bin/java", "java", "-jar"));
    }

    @ParameterizedTest
    @MethodSource("others")
    void takesNothingElseForAnAgent(List<String> process) throws IOException {
        // Given
        process("1", process.get(0), NODE, process.stream().skip(1).toArray(String[]::new));

        // Then
        assertThat(new RunningAgent(proc).arguments()).isEmpty();
    }

    @Test
    void takesNoOtherJavaProgramForTheAgentWhenItRunsOnTheJvmItself() throws IOException {
        // Given
        Files.delete(proc.resolve("self/exe"));
        Files.createSymbolicLink(proc.resolve("self/exe"), Path.of("/usr/bin/java"));
        process("1", "/usr/bin/java", NODE, "catalogue", "server");

        // Then
        assertThat(new RunningAgent(proc).arguments()).isEmpty();
    }

    @Test
    void ignoresTheAgentOfAnotherNodeOnTheSameMachine() throws IOException {
        // Given
        process("9", AGENT, OTHER_NODE, AGENT, "server", "-c", "other");
        process("10", AGENT, NODE, AGENT, "server", "-c", "own");

        // Then
        assertThat(new RunningAgent(proc).arguments()).contains(List.of("server", "-c", "own"));
    }

    @Test
    void prefersTheOldestOfSeveralAgents() throws IOException {
        // Given
        process("100", AGENT, NODE, AGENT, "server", "-c", "second");
        process("20", AGENT, NODE, AGENT, "server", "-c", "first");

        // Then
        assertThat(new RunningAgent(proc).arguments()).contains(List.of("server", "-c", "first"));
    }

    @Test
    void findsNoneWithoutProcfs() {
        assertThat(new RunningAgent(proc.resolve("missing")).arguments()).isEmpty();
    }

    private void process(String id, String executable, String network, String... commandLine) throws IOException {
        Path process = commandLine(id, commandLine);
        Files.createSymbolicLink(process.resolve("exe"), Path.of(executable));
        Files.createSymbolicLink(Files.createDirectories(process.resolve("ns")).resolve("net"), Path.of(network));
    }

    private Path commandLine(String id, String... commandLine) throws IOException {
        Path process = Files.createDirectories(proc.resolve(id));
        Files.writeString(process.resolve("cmdline"), String.join("\0", commandLine) + '\0');
        return process;
    }
}
