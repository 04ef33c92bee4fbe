package dev.podidentity.agent.cli;

import dev.podidentity.agent.config.Checked;
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
import java.util.regex.Pattern;
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
    private static final String TEXT = "text";
    private static final String JSON = "json";
    /** Names of Kubernetes: DNS labels and subdomains. */
    private static final Pattern POD = Pattern.compile("[a-z0-9][a-z0-9-]{0,62}/[a-z0-9][a-z0-9.-]{0,252}");
    /** The one flag of every command. */
    private static final Flag VERBOSITY = flag("verbosity");

    /** The one flag of {@code probe}. */
    private static final Flag PROBE_PORT = flag("probe-port");

    /** What {@code doctor} examines, and how it reports. */
    static final List<Flag> DOCTOR = List.of(
            Flag.one("pod", "NAMESPACE/NAME", CommandLineInterface::checkPod, "",
                    "Examines this pod, through the API server, in place of this node."),
            Flag.toggle("association",
                    "With --pod: asks AWS for the pod's association and for its role's trust policy, too, with the AWS credentials of"
                            + " the environment, of the shared files or of the node."));
    /** With {@code doctor irsa} too. */
    static final List<Flag> DOCTOR_REPORT = List.of(
            Flag.one("output", "FORMAT", CommandLineInterface::checkOutput, TEXT,
                    "How to report: text or json."),
            Flag.one("kubeconfig", "PATH", value -> { }, "",
                    "Kubeconfig file. Without it the service account of this container, KUBECONFIG or ~/.kube/config is used."),
            Flag.one("context", "NAME", value -> { }, "",
                    "Context of the kubeconfig. Without it, its current one."));
    /** The flags of {@code server} by which {@code doctor} learns what it is to find. */
    static final List<Flag> DOCTOR_SERVER = List.of(
                    "cluster-name", "port", "probe-port", "metrics-address", "metrics-port", "bind-hosts", "endpoint",
                    "token-verification", "pod-watch", "events", "startup-taint", "issuer", "api-server", "service-account-path")
            .stream()
            .map(CommandLineInterface::flag)
            .toList();

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
     * Parses a command line and does all of it but the work of {@code server}, {@code initialize}, {@code probe} and
     * {@code doctor}.
     *
     * @param server is given the properties that the flags of {@code server} set
     * @param initialize is given how much to log, and gives the exit code
     * @param probe is given the port of probes and whether any agent of the node will do, and gives the exit code
     * @param doctor is given what to examine, and gives the exit code
     * @return the exit code; nothing if {@code server} was called
     */
    public Optional<Integer> run(
            Consumer<Map<String, String>> server,
            ToIntFunction<Verbosity> initialize,
            Probe probe,
            ToIntFunction<DoctorRequest> doctor,
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
            case "doctor" -> {
                return doctor(doctor, command, properties);
            }
            default -> {
                server.accept(properties);
                return Optional.empty();
            }
        }
    }

    private Optional<Integer> doctor(ToIntFunction<DoctorRequest> doctor, ParseResult command, Map<String, String> properties) {
        boolean irsa = command.hasSubcommand();
        ParseResult reported = irsa ? command.subcommand() : command;
        Map<String, String> given = new LinkedHashMap<>(properties);
        if (irsa) {
            given.putAll(properties(command, reported));
        }
        Optional<String> pod = value(command, "pod");
        boolean association = value(command, "association").map(new Checked.Truth()::convert).orElse(false);
        if (association && pod.isEmpty()) {
            return unusable("--association needs --pod; see '" + NAME + " doctor --help'");
        }
        if (irsa && pod.isPresent()) {
            return unusable("--pod and irsa exclude each other; see '" + NAME + " doctor --help'");
        }
        return Optional.of(doctor.applyAsInt(new DoctorRequest(
                pod,
                association,
                irsa,
                value(reported, "output").or(() -> value(command, "output")).orElse(TEXT).equals(JSON),
                value(reported, "kubeconfig").or(() -> value(command, "kubeconfig")),
                value(reported, "context").or(() -> value(command, "context")),
                given)));
    }

    private Optional<Integer> unusable(String what) {
        err.println("Error: " + what);
        err.flush();
        return Optional.of(USAGE);
    }

    private static Optional<String> value(ParseResult of, String name) {
        String option = "--" + name;
        return of.hasMatchedOption(option) ? Optional.of(String.valueOf(of.<Object>matchedOptionValue(option, null))) : Optional.empty();
    }

    private static void checkPod(String value) {
        if (!POD.matcher(value).matches()) {
            throw new IllegalArgumentException("must be the namespace and the name of a pod, such as default/web-0");
        }
    }

    private static void checkOutput(String value) {
        if (!value.equals(TEXT) && !value.equals(JSON)) {
            throw new IllegalArgumentException("must be text or json");
        }
    }

    private static Flag flag(String name) {
        return Flag.ALL.stream().filter(flag -> flag.name().equals(name)).findFirst().orElseThrow();
    }

    /**
     * What the arguments of an agent that runs set.
     *
     * @throws ParameterException if they are not those of {@code server} in this version
     */
    static Map<String, String> serverProperties(List<String> arguments) {
        ParseResult parsed = COMMANDS.parseArgs(arguments.toArray(String[]::new));
        return parsed.hasSubcommand() && parsed.subcommand().commandSpec().name().equals("server")
                ? properties(parsed, parsed.subcommand())
                : Map.of();
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
        root.addSubcommand("doctor", doctor());
        root.addSubcommand("version", command("version", "Prints the version.").addOption(option(VERBOSITY)));
        return new CommandLine(root)
                .setUsageHelpWidth(110)
                .setOverwrittenOptionsAllowed(true)
                // Never asked for, as this parses only; the usual one keeps the standard output of whoever makes it.
                .setExecutionStrategy(parsed -> USAGE);
    }

    private static CommandSpec doctor() {
        CommandSpec doctor = command("doctor", "Examines this node, or a pod with --pod, and says what it saw and what to do, one line"
                + " each: ok, warn, fail, or skip for what it could not look at. Changes nothing and prints no secret. Exit code: 0 if"
                + " all is well, 1 if there are warnings, 2 if there are failures or the command line cannot be used.");
        CommandSpec irsa = command("irsa", "Lists the service accounts that use IAM roles for service accounts (IRSA), and for each the"
                + " steps that move it to EKS Pod Identity without a gap. Exit code: 0 if all are moved, 1 if some are not, 2 if they"
                + " cannot be listed.");
        DOCTOR.forEach(flag -> doctor.addOption(option(flag)));
        DOCTOR_REPORT.forEach(flag -> {
            doctor.addOption(option(flag));
            irsa.addOption(option(flag));
        });
        DOCTOR_SERVER.forEach(flag -> doctor.addOption(option(flag)));
        irsa.addOption(option(flag("cluster-name")));
        irsa.addOption(option(VERBOSITY));
        return doctor.addOption(option(VERBOSITY)).addSubcommand("irsa", irsa);
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
