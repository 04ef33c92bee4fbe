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
 * The command line. The commands are built by hand instead of from annotations, so that parsing needs no reflection and
 * {@code --help} and {@code version} work without starting anything else.
 */
public final class CommandLineInterface {

    /** Exit code for an invalid command line or configuration. */
    public static final int USAGE = 2;

    private static final String NAME = "eks-pod-identity-agent";
    private static final String TEXT = "text";
    private static final String JSON = "json";
    /** A namespace is a DNS label, and a pod name a DNS subdomain. */
    private static final Pattern POD = Pattern.compile("[a-z0-9][a-z0-9-]{0,62}/[a-z0-9][a-z0-9.-]{0,252}");
    /** The flag that every command has. */
    private static final Flag VERBOSITY = flag("verbosity");

    /** The flag of {@code server} that {@code probe} shares. */
    private static final Flag PROBE_PORT = flag("probe-port");

    /** The flags that only {@code doctor} itself has. */
    static final List<Flag> DOCTOR = List.of(
            Flag.one("pod", "NAMESPACE/NAME", CommandLineInterface::checkPod, "",
                    "Check this pod, through the API server, instead of this node."),
            Flag.toggle("association",
                    "With --pod: also check the pod's association and its role's trust policy, with the AWS credentials from the"
                            + " environment, the shared files or the node."));
    /** The flags that {@code doctor irsa} has too. */
    static final List<Flag> DOCTOR_REPORT = List.of(
            Flag.one("output", "FORMAT", CommandLineInterface::checkOutput, TEXT,
                    "Output format: text or json."),
            Flag.one("kubeconfig", "PATH", value -> { }, "",
                    "Kubeconfig file. The default is the service account of this container, then KUBECONFIG, then ~/.kube/config."),
            Flag.one("context", "NAME", value -> { }, "",
                    "Context in the kubeconfig. The default is its current context."));
    /** The flags of {@code server} that tell {@code doctor} how the agent is configured. */
    static final List<Flag> DOCTOR_SERVER = List.of(
                    "cluster-name", "port", "probe-port", "metrics-address", "metrics-port", "bind-hosts", "endpoint",
                    "token-verification", "pod-watch", "events", "startup-taint", "issuer", "api-server", "service-account-path")
            .stream()
            .map(CommandLineInterface::flag)
            .toList();

    /**
     * All commands and flags. The native image build creates them, because creating them takes longer than parsing. They
     * can be reused, because every parse resets their state.
     */
    private static final CommandLine COMMANDS = root();

    /** The flag that only {@code probe} has. */
    private static final String READY = "--ready";

    /** Does the work of {@code probe}. */
    @FunctionalInterface
    public interface Probe {

        /**
         * Probes an agent.
         *
         * @param port the probe port
         * @param anyAgent whether any agent of the node will do; it must also be ready then
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
     * Parses a command line and runs its command.
     *
     * @param server receives the properties that the flags of {@code server} set
     * @param initialize receives the log level and returns the exit code
     * @param probe receives the probe port and whether any agent of the node will do, and returns the exit code
     * @param doctor receives what to check and returns the exit code
     * @return the exit code; empty for {@code server}
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
            err.println("Error: " + e.getMessage().lines().findFirst().orElse("invalid command line") + "; see '"
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
     * Returns the properties that the arguments of a running agent set.
     *
     * @throws ParameterException if this version's {@code server} does not accept them
     */
    static Map<String, String> serverProperties(List<String> arguments) {
        ParseResult parsed = COMMANDS.parseArgs(arguments.toArray(String[]::new));
        return parsed.hasSubcommand() && parsed.subcommand().commandSpec().name().equals("server")
                ? properties(parsed, parsed.subcommand())
                : Map.of();
    }

    /** Uses the same environment variable as the agent, because both run in one container. */
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
        CommandSpec server = command("server", "Serves credentials to the pods of this node until it receives SIGTERM or SIGINT.");
        Flag.ALL.forEach(flag -> server.addOption(option(flag)));
        // The reference accepts this flag before and after any command, and its chart may pass it in either place.
        root.addOption(option(VERBOSITY));
        root.addSubcommand("server", server);
        root.addSubcommand("initialize", command("initialize", "Creates the network link pod-id-link0 with the addresses on"
                + " which pods ask for credentials, unless they exist already. Needs the capability NET_ADMIN.")
                .addOption(option(VERBOSITY)));
        root.addSubcommand("probe", command("probe", "Checks that the agent in this container listens, and ignores any"
                + " other agent on this node. Meant for a startup probe.")
                .addOption(option(PROBE_PORT))
                .addOption(OptionSpec.builder(READY)
                        .type(boolean.class)
                        .description("Check that an agent on this node is ready, in whichever container it runs. Meant for"
                                + " testing an installation.")
                        .build())
                .addOption(option(VERBOSITY)));
        root.addSubcommand("doctor", doctor());
        root.addSubcommand("version", command("version", "Prints the version.").addOption(option(VERBOSITY)));
        return new CommandLine(root)
                .setUsageHelpWidth(110)
                .setOverwrittenOptionsAllowed(true)
                // Never used, since this only parses. The default strategy would keep the standard output of the build.
                .setExecutionStrategy(parsed -> USAGE);
    }

    private static CommandSpec doctor() {
        CommandSpec doctor = command("doctor", "Checks this node, or a pod with --pod, and prints one line for each check:"
                + " ok, warn, fail, or skip if the check cannot run, with what was found and what to do. Changes nothing and"
                + " prints no secrets. Exit code: 0 if all is well, 1 if there are warnings, 2 if there are failures or the"
                + " command line is invalid.");
        CommandSpec irsa = command("irsa", "Lists the service accounts that use IAM roles for service accounts (IRSA), and"
                + " for each one the steps to migrate it to EKS Pod Identity without downtime. Exit code: 0 if all have been"
                + " migrated, 1 if some have not, 2 if they cannot be listed.");
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
                .description("Show this help.")
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
