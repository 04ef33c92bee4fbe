package dev.podidentity.agent.doctor;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** The command line of the agent that runs in this container, or on this machine. */
final class RunningAgent {

    private static final String EXECUTABLE = "eks-pod-identity-agent";
    private static final String JAR = "quarkus-run.jar";

    private RunningAgent() {}

    /**
     * The arguments after the executable of the first process that runs {@code server}.
     *
     * @param proc where procfs is mounted
     */
    static Optional<List<String>> arguments(Path proc) {
        try (DirectoryStream<Path> processes = Files.newDirectoryStream(proc, "[0-9]*")) {
            for (Path process : processes) {
                Optional<List<String>> arguments = serving(commandLine(process));
                if (arguments.isPresent()) {
                    return arguments;
                }
            }
        } catch (IOException e) {
            // Not on Linux.
            return Optional.empty();
        }
        return Optional.empty();
    }

    private static List<String> commandLine(Path process) {
        try {
            return Arrays.asList(Files.readString(process.resolve("cmdline"), StandardCharsets.UTF_8).split("\0"));
        } catch (IOException e) {
            // The process has ended, or belongs to another user.
            return List.of();
        }
    }

    /** The executable may follow another program, such as the JVM or go-runner. */
    static Optional<List<String>> serving(List<String> commandLine) {
        for (int i = 0; i < commandLine.size(); i++) {
            String name = commandLine.get(i).substring(commandLine.get(i).lastIndexOf('/') + 1);
            if (name.equals(EXECUTABLE) || name.equals(JAR)) {
                List<String> arguments = commandLine.subList(i + 1, commandLine.size());
                return arguments.contains("server") ? Optional.of(arguments) : Optional.empty();
            }
        }
        return Optional.empty();
    }
}
