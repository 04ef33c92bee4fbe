package dev.podidentity.agent.cli;

import dev.podidentity.agent.config.Checked;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;

/**
 * The command line of Kubernetes' {@code go-runner}, which runs another program and writes its output to a file. The
 * reference's image contains it, and the reference's chart starts the agent with it. The executable therefore answers to its
 * name, and runs the agent that the command line names in the same process.
 *
 * @param logFile the file to which output is appended; empty if output is not redirected
 * @param alsoStdout whether the output also remains where it was
 * @param redirectStderr whether standard error follows standard output
 * @param command the arguments of this program
 */
public record GoRunner(Optional<String> logFile, boolean alsoStdout, boolean redirectStderr, List<String> command) {

    private static final String NAME = "go-runner";
    private static final String AGENT = "eks-pod-identity-agent";

    /** Returns whether a program that was started under this path must behave as go-runner. */
    public static boolean isCalled(String path) {
        return fileName(path).equals(NAME);
    }

    /**
     * Parses options as Go's flag package does: with one hyphen or two, up to the first argument that is not an option.
     *
     * @throws IllegalArgumentException with one line that says what is invalid
     */
    public static GoRunner parse(List<String> arguments) {
        Options options = new Options();
        int next = 0;
        while (next < arguments.size() && arguments.get(next).length() > 1 && arguments.get(next).startsWith("-")) {
            String option = arguments.get(next++);
            if (option.equals("--")) {
                break;
            }
            next += options.take(option, arguments.subList(next, arguments.size()));
        }
        if (next == arguments.size()) {
            throw new IllegalArgumentException(NAME + ": no command to run; this image runs /" + AGENT);
        }
        String program = arguments.get(next);
        if (!fileName(program).equals(AGENT)) {
            throw new IllegalArgumentException(
                    NAME + ": this image runs /" + AGENT + " and nothing else: \"" + program + '"');
        }
        return new GoRunner(Optional.of(options.logFile).filter(file -> !file.isEmpty()), options.alsoStdout,
                options.redirectStderr, List.copyOf(arguments.subList(next + 1, arguments.size())));
    }

    private static String fileName(String path) {
        return path.substring(path.lastIndexOf('/') + 1);
    }

    /** The options so far. */
    private static final class Options {

        private String logFile = "";
        private boolean alsoStdout;
        private boolean redirectStderr = true;

        /** Parses an option; returns the number of following arguments that are its value. */
        private int take(String option, List<String> rest) {
            String text = option.substring(option.startsWith("--") ? 2 : 1);
            int equals = text.indexOf('=');
            String name = equals < 0 ? text : text.substring(0, equals);
            Optional<String> value = equals < 0 ? Optional.empty() : Optional.of(text.substring(equals + 1));
            switch (name) {
                case "log-file" -> {
                    logFile = value.or(() -> rest.stream().findFirst())
                            .orElseThrow(() -> new IllegalArgumentException(NAME + ": --log-file needs the path of a file"));
                    return value.isPresent() ? 0 : 1;
                }
                case "also-stdout" -> truth(name, value, given -> alsoStdout = given);
                case "redirect-stderr" -> truth(name, value, given -> redirectStderr = given);
                default -> throw new IllegalArgumentException(NAME + ": unknown option \"" + option
                        + "\"; there are --log-file, --also-stdout and --redirect-stderr");
            }
            return 0;
        }

        private static void truth(String name, Optional<String> value, Consumer<Boolean> setter) {
            try {
                setter.accept(new Checked.Truth().convert(value.orElse("true")));
            } catch (IllegalArgumentException e) {
                throw new IllegalArgumentException(
                        NAME + ": --" + name + ' ' + e.getMessage() + ": \"" + value.orElse("") + '"', e);
            }
        }
    }
}
