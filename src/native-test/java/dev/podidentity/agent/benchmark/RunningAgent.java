package dev.podidentity.agent.benchmark;

import dev.podidentity.agent.FreePorts;
import dev.podidentity.agent.RawHttp;
import java.io.IOException;
import java.net.ConnectException;
import java.net.SocketException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Collectors;

/** An agent in a separate process, on free ports of 127.0.0.1. */
final class RunningAgent implements AutoCloseable {

    private static final Duration PATIENCE = Duration.ofSeconds(60);
    private static final long PAUSE_NANOS = TimeUnit.MILLISECONDS.toNanos(5);
    private static final Path SOCKETS = Path.of("/proc/net/tcp");
    private static final Path SOCKETS_V6 = Path.of("/proc/net/tcp6");

    private final Process process;
    private final int port;
    private final ProcessFigures figures;

    /** Thrown if an agent exits instead of serving, for example because it does not know a flag. */
    static final class DoesNotStart extends IOException {

        private static final long serialVersionUID = 1;

        DoesNotStart(String message) {
            super(message);
        }
    }

    private RunningAgent(Process process, int port) {
        this.process = process;
        this.port = port;
        this.figures = new ProcessFigures(process.pid());
    }

    /** The settings with which an agent is started, in addition to its command. */
    static final class Starter {

        private final Contender contender;
        private final EksAuthProcess eksAuth;
        private final Path log;
        private final List<String> flags = new ArrayList<>();
        private String heap = "";
        private Optional<ControlGroup> group = Optional.empty();
        private boolean stamped;

        Starter(Contender contender, EksAuthProcess eksAuth, Path log) {
            this.contender = contender;
            this.eksAuth = eksAuth;
            this.log = log;
        }

        Starter flags(String... more) {
            flags.addAll(List.of(more));
            return this;
        }

        /** @param mebibytes the maximum heap of a native executable of this agent, in place of its own limit */
        Starter heap(int mebibytes) {
            heap = "-Xmx" + mebibytes + "m";
            return this;
        }

        Starter in(ControlGroup controlGroup) {
            group = Optional.of(controlGroup);
            return this;
        }

        /** Makes the first line of the log the time of the exec, in nanoseconds since 1970. */
        Starter stamped() {
            stamped = true;
            return this;
        }

        /** Starts the agent without waiting. */
        RunningAgent launch() throws IOException {
            List<Integer> ports = FreePorts.take(3);
            Map<String, String> values = new HashMap<>(Map.of(
                    "port", ports.get(0).toString(), "probe-port", ports.get(1).toString(), "metrics-port", ports.get(2).toString(),
                    "endpoint", eksAuth.endpoint(), "cluster", eksAuth.cluster(), "region", eksAuth.region()));
            values.put("heap", heap);
            List<String> command = new ArrayList<>(contender.command().expand(values));
            command.addAll(flags);
            if (stamped) {
                command.addAll(0, List.of("sh", "-c", "date +%s%N; exec \"$@\"", "sh"));
            }
            ProcessBuilder builder = new ProcessBuilder(group.isPresent() ? group.get().enter(command) : command)
                    .redirectErrorStream(true)
                    .redirectOutput(log.toFile());
            builder.environment().clear();
            builder.environment().putAll(eksAuth.environment());
            return new RunningAgent(builder.start(), ports.get(0));
        }

        /** Starts the agent, and waits until it listens, without a connection to it. */
        RunningAgent listening() throws IOException {
            RunningAgent agent = launch();
            agent.await("listen", agent::listens, this);
            return agent;
        }

        /** Starts the agent, and waits until it has served this token. */
        RunningAgent serving(String token) throws IOException {
            RunningAgent agent = launch();
            agent.await("serve", () -> agent.answers(token), this);
            return agent;
        }
    }

    private interface Condition {
        boolean holds() throws IOException;
    }

    private void await(String what, Condition condition, Starter starter) throws IOException {
        long giveUp = System.nanoTime() + PATIENCE.toNanos();
        while (!condition.holds()) {
            if (!process.isAlive() || System.nanoTime() > giveUp) {
                close();
                // Without their values, because the message is published, and values can be paths of this machine.
                String names = starter.flags.stream().filter(flag -> flag.startsWith("--")).collect(Collectors.joining(", "));
                throw new DoesNotStart("it does not " + what + (names.isEmpty() ? "" : " with the flags " + names));
            }
            LockSupport.parkNanos(PAUSE_NANOS);
        }
    }

    private boolean listens() throws IOException {
        return listens(Files.readAllLines(SOCKETS), port) || Files.exists(SOCKETS_V6) && listens(Files.readAllLines(SOCKETS_V6), port);
    }

    /** Returns whether a socket table of Linux has a socket that listens on the port. */
    static boolean listens(List<String> sockets, int port) {
        String address = String.format(Locale.ROOT, ":%04X ", port);
        return sockets.stream()
                .map(line -> line.strip().split("\\s+"))
                .anyMatch(fields -> fields.length > 3 && (fields[1] + ' ').endsWith(address) && fields[3].equals("0A"));
    }

    /** Returns whether the agent serves a token; false while it does not listen. */
    boolean answers(String token) throws IOException {
        return ask(token).filter(answer -> answer.status() == 200).isPresent();
    }

    /** Returns the first response with status 200. */
    RawHttp.Answer answer(String token) throws IOException {
        Optional<RawHttp.Answer> answer = ask(token);
        while (answer.isEmpty() || answer.get().status() != 200) {
            LockSupport.parkNanos(PAUSE_NANOS);
            answer = ask(token);
        }
        return answer.get();
    }

    private Optional<RawHttp.Answer> ask(String token) throws IOException {
        try (RawHttp http = new RawHttp(port)) {
            return Optional.of(http.send(RawHttp.request(token)).answer());
        } catch (ConnectException e) {
            return Optional.empty();
        } catch (SocketException e) {
            // The agent has just started, and reset the connection.
            return Optional.empty();
        }
    }

    int port() {
        return port;
    }

    ProcessFigures figures() {
        return figures;
    }

    boolean isAlive() {
        return process.isAlive();
    }

    /** Stops the agent, and waits until it has ended. */
    @Override
    public void close() {
        process.destroy();
        process.onExit().completeOnTimeout(null, PATIENCE.toSeconds(), TimeUnit.SECONDS).join();
        process.destroyForcibly();
        process.onExit().join();
    }
}
