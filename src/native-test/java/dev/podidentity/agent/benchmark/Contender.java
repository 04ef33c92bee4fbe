package dev.podidentity.agent.benchmark;

import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/**
 * An agent to measure.
 *
 * @param name its name in the results
 * @param command the command that starts it; the flags of a case are appended
 */
record Contender(String name, Kind kind, CommandTemplate command) {

    enum Kind {
        /** The agent of this build. */
        OURS,
        /** Another agent, or another build of this one. */
        OTHER,
        /** A baseline for HTTP: a handler with a constant response. */
        BARE
    }

    static Contender ours(Path executable) {
        return new Contender("ours", Kind.OURS, ourCommand(executable.toString()));
    }

    /** @param command the command of another agent; a single word is the executable of another build of this one */
    static Contender other(String name, String command) {
        CommandTemplate template = CommandTemplate.parse(command);
        boolean build = template.words().size() == 1;
        return new Contender(name, Kind.OTHER, build ? ourCommand(template.words().get(0)) : template);
    }

    static Contender bare(Path executable, Path answer) {
        return new Contender("bare handler", Kind.BARE,
                new CommandTemplate(List.of(executable.toString(), "{port}", answer.toString())));
    }

    private static CommandTemplate ourCommand(String executable) {
        return new CommandTemplate(Stream.of(
                        executable, "{heap}", "server", "--cluster-name", "{cluster}", "--endpoint", "{endpoint}",
                        "--bind-hosts", "127.0.0.1", "--port", "{port}", "--probe-port", "{probe-port}",
                        "--metrics-address", "127.0.0.1", "--metrics-port", "{metrics-port}", "--verbosity", "error",
                        // All of the load comes from one address.
                        "--source-requests-per-second", "0")
                .toList());
    }

    Path executable() {
        return Path.of(command.words().get(0));
    }
}
