package dev.podidentity.agent.cli;

import dev.podidentity.agent.config.Verbosity;
import dev.podidentity.agent.observe.BuildInfo;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.ToIntFunction;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;

/**
 * The command line. Built by hand rather than from annotations, so that it needs no reflection, and so that
 * {@code --help} and {@code version} answer without anything else having been loaded.
 */
public final class CommandLineInterface {

    /** Exit code for a command line or a configuration that cannot be used. */
    public static final int USAGE = 2;

    private static final String NAME = "eks-pod-identity-agent";
    /** The one flag of every command. */
    private static final Flag VERBOSITY =
            Flag.ALL.stream().filter(flag -> flag.name().equals("verbosity")).findFirst().orElseThrow();

    /** The one flag of {@code probe}. */
    private static final Flag PROBE_PORT =
            Flag.ALL.stream().filter(flag -> flag.name().equals("probe-port")).findFirst().orElseThrow();

    /**
     * All commands and flags, made while the native executable is built: making them takes longer than parsing, which leaves
     * nothing in them that the next parsing does not set anew.
     */
    private static final CommandLine COMMANDS = root();

    /** The other flag of {@code probe}. */
    private static final String READY = "--ready";

    /** The work of {@code probe}. */
    @FunctionalInterface
    public interface Probe {

        /**
         * Asks an agent.
         *
         * @param port of probes
         * @param anyAgent whether to ask any agent of the node, and whether it is ready
         * @return the exit code
         */
        int run(int port, boolean anyAgent);
    }

    private final PrintWriter out;
    private final PrintWriter err;
    private final Map<String, String> environment;

    public CommandLineInterface(PrintWriter out, PrintWriter err, Map<String, String> environment) {
        this.out = out;
        this.err = err;
        this.environment = environment;
    }

    /**
     * Parses a command line and does all of it but the work of {@code server}, {@code initialize} and {@code probe}.
     *
     * @param server is given the properties that the flags of {@code server} set
     * @param initialize is given how much to log, and gives the exit code
     * @param probe is given the port of probes and whether any agent of the node will do, and gives the exit code
     * @return the exit code; nothing if {@code server} was called
     */
    public Optional<Integer> run(
            Consumer<Map<String, String>> server,
            ToIntFunction<Verbosity> initialize,
            Probe probe,
            String... args) {
        CommandLine root = COMMANDS.setOut(out).setErr(err);
        ParseResult parsed;
        try {
            parsed = root.parseArgs(args);
        } catch (ParameterException e) {
            err.println("Error: " + e.getMessage().lines().findFirst().orElse("unusable command line") + "; see '"
                    + e.getCommandLine().getCommandSpec().qualifiedName() + " --help'");
            err.flush();
            return Optional.of(USAGE);
        }
        Integer helped = CommandLine.executeHelpRequest(parsed);
        if (helped != null) {
            return Optional.of(helped);
        }
        ParseResult command = parsed.subcommand();
        if (command == null) {
            err.println("Error: no command given; see '" + NAME + " --help'");
            err.flush();
            return Optional.of(USAGE);
        }
        Map<String, String> properties = properties(parsed, command);
        switch (command.commandSpec().name()) {
            case "version" -> {
                out.println(NAME + " " + BuildInfo.current());
                out.flush();
                return Optional.of(0);
            }
            case "initialize" -> {
                return Optional.of(initialize.applyAsInt(
                        Verbosity.parse(properties.getOrDefault(VERBOSITY.property(), VERBOSITY.initial()))));
            }
            case "probe" -> {
                return probe(probe, properties, command.hasMatchedOption(READY));
            }
            default -> {
                server.accept(properties);
                return Optional.empty();
            }
        }
    }

    /** As the container's environment sets up the agent, it sets up what asks it. */
    private Optional<Integer> probe(Probe probe, Map<String, String> properties, boolean anyAgent) {
        String port = Optional.ofNullable(properties.get(PROBE_PORT.property()))
                .or(() -> Optional.ofNullable(environment.get(PROBE_PORT.variable())))
                .orElse(PROBE_PORT.initial());
        try {
            PROBE_PORT.check().accept(port);
            return Optional.of(probe.run(Integer.parseInt(port), anyAgent));
        } catch (IllegalArgumentException e) {
            err.println("Error: " + PROBE_PORT.variable() + ": " + e.getMessage() + ": \"" + port + '"');
            err.flush();
            return Optional.of(USAGE);
        }
    }

    private static CommandLine root() {
        CommandSpec root = command(NAME, "Exchanges the service-account tokens of this node's pods for AWS credentials.");
        CommandSpec server = command("server", "Serves credentials to the pods of this node until it is told to stop.");
        Flag.ALL.forEach(flag -> server.addOption(option(flag)));
        // The reference takes this one before and after any command, and its chart may put it there.
        root.addOption(option(VERBOSITY));
        root.addSubcommand("server", server);
        root.addSubcommand("initialize", command("initialize", "Gives this node the addresses on which pods ask for"
                + " credentials, on the link pod-id-link0. Does only what is missing. Needs the capability NET_ADMIN.")
                .addOption(option(VERBOSITY)));
        root.addSubcommand("probe", command("probe", "Asks the agent of this container whether it listens, and no other that"
                + " may listen on this node too. For a startup probe.")
                .addOption(option(PROBE_PORT))
                .addOption(OptionSpec.builder(READY)
                        .type(boolean.class)
                        .description("Ask whether an agent of this node is ready, whichever container it runs in. For a test of"
                                + " an installation.")
                        .build())
                .addOption(option(VERBOSITY)));
        root.addSubcommand("version", command("version", "Prints the version.").addOption(option(VERBOSITY)));
        return new CommandLine(root)
                .setUsageHelpWidth(110)
                .setOverwrittenOptionsAllowed(true)
                // Never asked for, as this parses only; the usual one keeps the standard output of whoever makes it.
                .setExecutionStrategy(parsed -> USAGE);
    }

    private static CommandSpec command(String name, String description) {
        CommandSpec command = CommandSpec.create().name(name);
        command.usageMessage().description(description).abbreviateSynopsis(true).sortOptions(false);
        return command.addOption(OptionSpec.builder("-h", "--help")
                .usageHelp(true)
                .type(boolean.class)
                .description("Shows this help.")
                .build());
    }

    private static OptionSpec option(Flag flag) {
        List<String> names = new ArrayList<>();
        flag.letter().ifPresent(letter -> names.add("-" + letter));
        names.add("--" + flag.name());
        OptionSpec.Builder option = OptionSpec.builder(names.toArray(String[]::new))
                .paramLabel(flag.label())
                .converters((CommandLine.ITypeConverter<String>) value -> checked(flag, value))
                .description(flag.initial().isEmpty() ? flag.help() : flag.help() + " Default: " + flag.initial());
        switch (flag.shape()) {
            case ONCE -> option.type(String.class).arity("1");
            case REPEATABLE -> option.type(List.class).auxiliaryTypes(String.class).arity("1");
            case SWITCH -> option.type(String.class).arity("0..1").fallbackValue("true");
        }
        return option.build();
    }

    private static String checked(Flag flag, String value) {
        try {
            flag.check().accept(value);
            return value;
        } catch (IllegalArgumentException e) {
            throw new CommandLine.TypeConversionException(e.getMessage() + ": \"" + value + '"');
        }
    }

    private static Map<String, String> properties(ParseResult root, ParseResult server) {
        Map<String, String> properties = new LinkedHashMap<>();
        for (Flag flag : Flag.ALL) {
            String option = "--" + flag.name();
            ParseResult given = server.hasMatchedOption(option) ? server : root;
            if (given.hasMatchedOption(option)) {
                Object value = given.matchedOptionValue(option, null);
                properties.put(flag.property(), value instanceof List<?> values
                        ? String.join(",", values.stream().map(String::valueOf).toList())
                        : String.valueOf(value));
            }
        }
        return properties;
    }
}
