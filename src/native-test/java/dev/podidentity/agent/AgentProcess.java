package dev.podidentity.agent;

import static io.restassured.RestAssured.given;
import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.emulator.EksAuthEmulator;
import io.restassured.response.Response;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Runs the packaged agent as a separate process at the most verbose level. Whatever a test does, the agent's output must not
 * contain a secret; {@link #close} checks this.
 *
 * <p>The system property {@code agent.executable} names the native executable to run; without it, the jar named by
 * {@code agent.jar} runs on this JVM's {@code java}.
 */
public final class AgentProcess implements AutoCloseable {

    public static final String LOOPBACK = "127.0.0.1";

    private static final Duration PATIENCE = Duration.ofSeconds(60);
    /** The agent serves metrics some milliseconds before all of them are registered. */
    private static final Duration REGISTRATION = Duration.ofSeconds(5);
    private static final int TOO_MANY_REQUESTS = 429;
    public static final Pattern LISTENING = Pattern.compile(
            "\"msg\":\"Listening\",\"listener\":\"(\\w+)\",\"address\":\"(.+):(\\d+)\"");
    /** The prefixes of the emulator's secrets and of any JWT. */
    public static final List<String> SECRETS = List.of("emulated-secret-", "emulated-session-", "eyJ");
    /** A part of a JWT, such as its signature, which has 86 characters with ES256. */
    public static final Pattern SECRET = Pattern.compile("[0-9A-Za-z_-]{80}");

    private final Process process;
    private final List<String> output = new CopyOnWriteArrayList<>();
    private final List<Expectation> expectations = new CopyOnWriteArrayList<>();
    private final Map<String, Integer> ports = new ConcurrentHashMap<>();
    private final CompletableFuture<Void> outputEnded;
    private final List<String> secrets = new ArrayList<>(SECRETS);

    private AgentProcess(Process process) {
        this.process = process;
        this.outputEnded = CompletableFuture.runAsync(this::read, task -> daemon("agent-output", task));
    }

    /** Starts an agent on loopback that calls an emulated EKS Auth, and waits until it listens and can make calls. */
    public static AgentProcess start(EksAuthEmulator emulator, String... flags) {
        return start(emulator, Map.of(), flags);
    }

    public static AgentProcess start(EksAuthEmulator emulator, Map<String, String> environment, String... flags) {
        AgentProcess agent = launch(emulator, environment, flags);
        agent.awaitLine(line -> line.contains("Ready to call EKS Auth"));
        agent.awaitLine(line -> line.contains("own AWS credentials were found"));
        return agent;
    }

    /** Starts an agent that may lack its own credentials, and waits until it listens. */
    public static AgentProcess launch(EksAuthEmulator emulator, Map<String, String> environment, String... flags) {
        List<String> arguments = new ArrayList<>(List.of(
                "server", "--cluster-name", emulator.clusterName(), "--endpoint", emulator.endpoint().toString(),
                "--bind-hosts", LOOPBACK, "--port", "0", "--probe-port", "0", "--metrics-address", LOOPBACK,
                "--metrics-port", "0", "--verbosity", "trace", "--source-requests-per-second", "0"));
        arguments.addAll(List.of(flags));
        Map<String, String> all = new LinkedHashMap<>(environment(emulator));
        all.putAll(environment);
        AgentProcess agent = run(all, arguments.toArray(String[]::new));
        agent.secrets.add(emulator.secretAccessKey());
        emulator.sessionToken().ifPresent(agent.secrets::add);
        agent.awaitLine(line -> line.contains("\"msg\":\"Started\""));
        return agent;
    }

    /** Returns the environment with which an agent can call this emulated EKS Auth. */
    public static Map<String, String> environment(EksAuthEmulator emulator) {
        return Map.of(
                "AWS_ACCESS_KEY_ID", emulator.accessKeyId(),
                "AWS_SECRET_ACCESS_KEY", emulator.secretAccessKey(),
                "AWS_REGION", emulator.region(),
                "AWS_EC2_METADATA_DISABLED", "true");
    }

    /** Runs the agent with exactly these arguments and this environment. */
    public static AgentProcess run(Map<String, String> environment, String... arguments) {
        return run(command(), environment, arguments);
    }

    /** Returns the command that starts the agent, without arguments. */
    public static List<String> command() {
        String executable = System.getProperty("agent.executable");
        return executable != null
                ? List.of(executable)
                : List.of(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-jar", System.getProperty("agent.jar", "target/quarkus-app/quarkus-run.jar"));
    }

    /**
     * Runs the agent with another command, such as {@code ip netns exec}, that ends with the executable. The part before it
     * must exec the agent instead of forking it, because signals go to the process that is started here.
     */
    public static AgentProcess run(List<String> command, Map<String, String> environment, String... arguments) {
        List<String> all = new ArrayList<>(command);
        all.addAll(List.of(arguments));
        ProcessBuilder builder = new ProcessBuilder(all).redirectErrorStream(true);
        builder.environment().clear();
        builder.environment().putAll(environment);
        try {
            return new AgentProcess(builder.start());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private void read() {
        try (BufferedReader lines =
                new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                Matcher listening = LISTENING.matcher(line);
                if (listening.find()) {
                    ports.put(listening.group(1), Integer.parseInt(listening.group(3)));
                    ports.put(listening.group(1) + ' ' + listening.group(2), Integer.parseInt(listening.group(3)));
                }
                output.add(line);
                for (Expectation expectation : expectations) {
                    expectation.check(line);
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Waits for a line of the agent's output, past or future. */
    public String awaitLine(Predicate<String> wanted) {
        Expectation expectation = new Expectation(wanted, new CompletableFuture<>());
        expectations.add(expectation);
        output.forEach(expectation::check);
        outputEnded.whenComplete((done, error) -> expectation.seen.completeExceptionally(
                new AssertionError("The agent ended; it wrote:\n" + String.join("\n", output))));
        return expectation.seen.orTimeout(PATIENCE.toSeconds(), TimeUnit.SECONDS).join();
    }

    public int port() {
        return port("credentials");
    }

    /** Returns the port of a listener: credentials, probes or metrics. */
    public int port(String listener) {
        return ports.get(listener);
    }

    /** Returns the port of a listener on one of several hosts. */
    public int port(String listener, String host) {
        return ports.get(listener + ' ' + host);
    }

    /** Returns the agent's output so far. */
    public List<String> output() {
        return List.copyOf(output);
    }

    /** Returns how many lines of the agent's output contain all of these parts. */
    public long lines(String... parts) {
        return output.stream().filter(line -> Stream.of(parts).allMatch(line::contains)).count();
    }

    /** Returns the current value of a time series, which is named with its labels as in a scrape. */
    public double metric(String series) {
        Instant giveUp = Instant.now().plus(REGISTRATION);
        while (true) {
            String scrape = scrape();
            OptionalDouble value = scrape.lines()
                    .filter(line -> line.startsWith(series + ' '))
                    .mapToDouble(line -> Double.parseDouble(line.substring(series.length() + 1)))
                    .findFirst();
            if (value.isPresent()) {
                return value.getAsDouble();
            }
            if (!Instant.now().isBefore(giveUp)) {
                throw new AssertionError("There is no " + series + " in:\n" + scrape);
            }
        }
    }

    /** Retries: a test that polls a value may exceed the agent's rate limit for scrapes. */
    private String scrape() {
        Instant giveUp = Instant.now().plus(PATIENCE);
        Response response;
        do {
            response = given().port(port("metrics")).header("Accept", "text/plain").header("Connection", "close").get("/metrics");
        } while (response.statusCode() == TOO_MANY_REQUESTS && Instant.now().isBefore(giveUp));
        return response.then().statusCode(200).extract().asString();
    }

    public long pid() {
        return process.pid();
    }

    /** Adds a secret that the output must not contain. */
    public void keepsSecret(String secret) {
        secrets.add(secret);
    }

    /** Sends SIGTERM. */
    public void terminate() {
        // process.destroy() would also close the output.
        process.toHandle().destroy();
    }

    /** Sends SIGKILL, and waits until the process ends. */
    public void kill() {
        process.toHandle().destroyForcibly();
        awaitExit();
    }

    /** Waits for the end of the process and of its output, and returns the exit code. */
    public int awaitExit() {
        try {
            assertThat(process.waitFor(PATIENCE.toSeconds(), TimeUnit.SECONDS)).as("the agent ends").isTrue();
            outputEnded.join();
            return process.exitValue();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    @Override
    public void close() {
        terminate();
        awaitExit();
        assertThat(String.join("\n", output)).doesNotContain(secrets).doesNotContainPattern(SECRET);
    }

    public static void daemon(String name, Runnable task) {
        Thread thread = new Thread(task, name);
        thread.setDaemon(true);
        thread.start();
    }

    private record Expectation(Predicate<String> wanted, CompletableFuture<String> seen) {

        void check(String line) {
            if (wanted.test(line)) {
                seen.complete(line);
            }
        }
    }
}
