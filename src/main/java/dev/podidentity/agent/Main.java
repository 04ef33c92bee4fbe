package dev.podidentity.agent;

import dev.podidentity.agent.cli.CommandLineInterface;
import dev.podidentity.agent.cli.ConfigurationProblem;
import dev.podidentity.agent.cli.GoRunner;
import dev.podidentity.agent.config.Verbosity;
import dev.podidentity.agent.doctor.Doctor;
import dev.podidentity.agent.http.StartupProbe;
import dev.podidentity.agent.network.Capability;
import dev.podidentity.agent.network.NodeLink;
import dev.podidentity.agent.network.NodeLinkFailure;
import dev.podidentity.agent.network.Note;
import dev.podidentity.agent.network.ProcessNamespace;
import dev.podidentity.agent.network.ProgramName;
import dev.podidentity.agent.network.StandardStreams;
import dev.podidentity.agent.observe.Field;
import dev.podidentity.agent.observe.LogLineFormatter;
import dev.podidentity.agent.observe.Logging;
import io.quarkus.runtime.Quarkus;
import io.quarkus.runtime.annotations.QuarkusMain;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.logging.Level;
import org.jboss.logging.Logger;
import sun.misc.Signal;

/** Selects the command. Only {@code server} starts Quarkus. */
@QuarkusMain
public final class Main {

    private Main() {}

    public static void main(String... args) {
        PrintWriter out = new PrintWriter(System.out, false, StandardCharsets.UTF_8);
        PrintWriter err = new PrintWriter(System.err, false, StandardCharsets.UTF_8);
        new CommandLineInterface(out, err, System.getenv())
                .run(
                        Main::serve,
                        Main::initialize,
                        Main::probe,
                        request -> new Doctor(System.getenv(), out, err).run(request),
                        command(args))
                .ifPresent(System::exit);
    }

    /** Returns the arguments; if this was started in place of go-runner, those that go-runner would pass to the agent. */
    private static String[] command(String... args) {
        if (!ProgramName.ofThisProcess().map(GoRunner::isCalled).orElse(false)) {
            return args;
        }
        try {
            GoRunner runner = GoRunner.parse(List.of(args));
            if (runner.logFile().isPresent()) {
                StandardStreams.appendOutputTo(runner.logFile().get(), runner.alsoStdout());
            }
            if (runner.redirectStderr()) {
                StandardStreams.mergeErrorIntoOutput();
            }
            return runner.command().toArray(String[]::new);
        } catch (IllegalArgumentException | IOException e) {
            System.err.println("Error: " + e.getMessage());
            System.exit(CommandLineInterface.USAGE);
            throw new IllegalStateException(e);
        }
    }

    /** Runs without Quarkus and its log, because it only takes a millisecond. */
    private static int initialize(Verbosity verbosity) {
        LogLineFormatter formatter = new LogLineFormatter(true);
        Capability.NET_ADMIN.raise();
        try {
            NodeLink.setUp(note -> {
                if (verbosity.compareTo(note.warning() ? Verbosity.WARN : Verbosity.INFO) >= 0) {
                    Level level = note.warning() ? Level.WARNING : Level.INFO;
                    System.out.print(formatter.format(level, note.message(), fields(note), NodeLink.class.getName()));
                }
            });
            return 0;
        } catch (NodeLinkFailure e) {
            System.err.println("Error: " + e.getMessage());
            return 1;
        }
    }

    private static int probe(int port, boolean anyAgent) {
        // Without a name for this container's namespace, a response of any agent is accepted.
        Optional<String> problem = anyAgent
                ? StartupProbe.askWhetherReady(port)
                : StartupProbe.ask(port, ProcessNamespace.ofThisProcess().orElse(""));
        problem.ifPresent(text -> System.err.println("Error: " + text));
        return problem.isPresent() ? 1 : 0;
    }

    private static List<Field> fields(Note note) {
        return note.fields().entrySet().stream().map(field -> Field.of(field.getKey(), field.getValue())).toList();
    }

    private static void serve(Map<String, String> properties) {
        // Quarkus starts threads, which inherit the capabilities of this one.
        Capability.NET_BIND_SERVICE.raise();
        // No log line contains the host name, which the log manager would look up in the name service.
        System.setProperty("jboss.qualified.host.name", "localhost");
        System.setProperty("jboss.host.name", "localhost");
        // System properties override environment variables and files, as flags must.
        properties.forEach(System::setProperty);
        // The JVM's own handler would end the process with 143; after an orderly shutdown the agent exits with 0.
        Signal.handle(new Signal("TERM"), signal -> Quarkus.asyncExit(0));
        Signal.handle(new Signal("INT"), signal -> Quarkus.asyncExit(0));
        Quarkus.run(null, Main::exit);
    }

    private static void exit(int code, Throwable failure) {
        if (failure == null) {
            end(code);
        }
        Optional<String> problem = ConfigurationProblem.in(failure);
        if (problem.isPresent()) {
            System.err.println("Error: " + problem.get());
            end(CommandLineInterface.USAGE);
        }
        Logger.getLogger(Main.class).error("Failed to start", failure);
        end(1);
    }

    private static void end(int code) {
        Logging.finish();
        System.exit(code);
    }
}
