package dev.podidentity.agent.realcluster;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/** Runs Helm with the chart of this repository. */
final class Helm {

    static final Path CHART = Path.of("kubernetes", "chart").toAbsolutePath();

    private Helm() {}

    /** Returns the output of {@code helm template} and fails the test if Helm fails. */
    static String template(String... arguments) {
        Ran ran = tryTemplate(arguments);
        assertThat(ran.exitCode()).as(ran.errors()).isZero();
        return ran.output();
    }

    static Ran tryTemplate(String... arguments) {
        return run(Map.of(), Stream.concat(
                        Stream.of("template", "eks-pod-identity-agent", CHART.toString(), "--namespace", "kube-system"),
                        Stream.of(arguments))
                .toArray(String[]::new));
    }

    static Ran run(Map<String, String> environment, String... arguments) {
        List<String> command = new ArrayList<>(List.of(GoProgram.HELM.get().toString()));
        command.addAll(List.of(arguments));
        try {
            Path directory = RealCluster.directory("helm");
            Path errors = directory.resolve("errors");
            ProcessBuilder helm = new ProcessBuilder(command).redirectError(errors.toFile());
            // Helm keeps its own files in directories that these variables determine.
            helm.environment().put("HOME", directory.toString());
            helm.environment().keySet().removeIf(name -> name.startsWith("HELM_") || name.startsWith("XDG_"));
            helm.environment().putAll(environment);
            Process process = helm.start();
            String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            return new Ran(process.waitFor(), output, Files.readString(errors));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    /** The exit code of Helm, its standard output and its standard error. */
    record Ran(int exitCode, String output, String errors) {}
}
