package dev.podidentity.agent.doctor;

import dev.podidentity.agent.cli.GoRunner;
import dev.podidentity.agent.cli.ServerSettings;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;

/** Finds the agent that runs in this container or on this machine, and tells how it was started. */
final class RunningAgent {

    private static final String EXECUTABLE = "eks-pod-identity-agent";
    private static final String JVM = "java";
    /** The jar of a Quarkus application, and an uber-jar of this one. */
    private static final Pattern JAR = Pattern.compile("quarkus-run\\.jar|" + EXECUTABLE + ".*\\.jar");

    private final Path proc;

    /** @param proc where procfs is mounted */
    RunningAgent(Path proc) {
        this.proc = proc;
    }

    /**
     * Returns the arguments of the oldest process of this network namespace that runs {@code server}. Agents in other network
     * namespaces belong to other nodes, as with kind, where one machine has several.
     */
    Optional<List<String>> arguments() {
        Optional<Path> network = network(proc.resolve("self"));
        return processes().stream()
                .filter(process -> network.isEmpty() || network(process).map(network.get()::equals).orElse(true))
                .flatMap(process -> serverArguments(process).stream())
                .findFirst();
    }

    /** Returns whether a process is an agent that runs {@code server}. */
    boolean is(int processId) {
        return serverArguments(proc.resolve(String.valueOf(processId))).isPresent();
    }

    private Optional<List<String>> serverArguments(Path process) {
        return agentArguments(commandLine(process), executable(process), executable(proc.resolve("self")))
                .filter(ServerSettings::isServer);
    }

    /** Lower process IDs come first; there are none where procfs is not mounted. */
    private List<Path> processes() {
        List<Path> found = new ArrayList<>();
        try (DirectoryStream<Path> processes = Files.newDirectoryStream(proc, "[0-9]*")) {
            processes.forEach(found::add);
        } catch (IOException e) {
            return List.of();
        }
        found.sort(Comparator.comparingInt(process -> Integer.parseInt(process.getFileName().toString())));
        return found;
    }

    private static Optional<Path> network(Path process) {
        return link(process.resolve("ns/net"));
    }

    private static Optional<Path> executable(Path process) {
        return link(process.resolve("exe"));
    }

    /** Empty if the process has ended, or if the kernel hides it, as it does with an executable that has file capabilities. */
    private static Optional<Path> link(Path path) {
        try {
            return Optional.of(Files.readSymbolicLink(path));
        } catch (IOException e) {
            return Optional.empty();
        }
    }

    private static List<String> commandLine(Path process) {
        try {
            return List.of(Files.readString(process.resolve("cmdline"), StandardCharsets.UTF_8).split("\0"));
        } catch (IOException e) {
            // The process has ended, or belongs to another user.
            return List.of();
        }
    }

    /**
     * Returns the arguments that the agent itself receives.
     *
     * @param executable of the process; empty if the kernel hides it, so that only the command line tells what runs
     * @param own executable of this process
     * @return empty if the process is not an agent
     */
    private static Optional<List<String>> agentArguments(
            List<String> commandLine, Optional<Path> executable, Optional<Path> own) {
        if (commandLine.isEmpty()) {
            return Optional.empty();
        }
        String program = commandLine.get(0);
        List<String> arguments = commandLine.subList(1, commandLine.size());
        if (GoRunner.isCalled(program)) {
            return behindGoRunner(arguments);
        }
        if (fileName(program).equals(JVM) || executable.map(RunningAgent::fileName).filter(JVM::equals).isPresent()) {
            return behindJvm(arguments);
        }
        boolean agent = fileName(program).equals(EXECUTABLE)
                || executable.isPresent() && (executable.equals(own) || fileName(executable.get()).equals(EXECUTABLE));
        return agent ? Optional.of(arguments) : Optional.empty();
    }

    private static Optional<List<String>> behindGoRunner(List<String> arguments) {
        try {
            return Optional.of(GoRunner.parse(arguments).command());
        } catch (IllegalArgumentException e) {
            // It runs another program.
            return Optional.empty();
        }
    }

    private static Optional<List<String>> behindJvm(List<String> arguments) {
        int jar = arguments.indexOf("-jar") + 1;
        return jar > 0 && jar < arguments.size() && JAR.matcher(fileName(arguments.get(jar))).matches()
                ? Optional.of(arguments.subList(jar + 1, arguments.size()))
                : Optional.empty();
    }

    private static String fileName(Path path) {
        return fileName(path.toString());
    }

    private static String fileName(String path) {
        return path.substring(path.lastIndexOf('/') + 1);
    }
}
