package dev.podidentity.agent.doctor;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RunningAgentTest {

    @TempDir
    private Path proc;

    @Test
    void readsHowTheAgentOfTheContainerWasStarted() throws IOException {
        // Given
        process(7, "/pause");
        process(8, "/eks-pod-identity-agent", "doctor");
        process(1, "/eks-pod-identity-agent", "server", "-c", "prod", "--port", "8080");

        // Then
        assertThat(RunningAgent.arguments(proc)).contains(List.of("server", "-c", "prod", "--port", "8080"));
    }

    @Test
    void findsTheAgentBehindWhateverStartsIt() {
        assertThat(RunningAgent.serving(List.of("/usr/bin/java", "-Xmx64m", "-jar", "app/quarkus-run.jar", "server")))
                .contains(List.of("server"));
        assertThat(RunningAgent.serving(List.of("/go-runner", "/eks-pod-identity-agent", "-v", "trace", "server")))
                .contains(List.of("-v", "trace", "server"));
    }

    @Test
    void findsNoneWhereNoneRuns() throws IOException {
        process(1, "/bin/sh", "-c", "server");

        assertThat(RunningAgent.arguments(proc)).isEmpty();
        assertThat(RunningAgent.arguments(proc.resolve("missing"))).isEmpty();
    }

    private void process(int id, String... commandLine) throws IOException {
        Path process = Files.createDirectories(proc.resolve(String.valueOf(id)));
        Files.writeString(process.resolve("cmdline"), String.join("\0", commandLine) + '\0');
    }
}
