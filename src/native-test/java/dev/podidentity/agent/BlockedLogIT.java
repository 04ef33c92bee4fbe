package dev.podidentity.agent;

import static dev.podidentity.agent.RawHttp.request;
import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.emulator.EksAuthEmulator;
import io.vertx.core.json.JsonObject;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** A standard output that nothing reads: the agent must continue without its log. */
class BlockedLogIT {

    private static final Pattern LISTENING = Pattern.compile("\"listener\":\"(\\w+)\",\"address\":\".+:(\\d+)\"");
    /** Each request logs a line of some hundred bytes; a pipe holds 64 KiB and the agent's queue 0.5 MiB. */
    private static final int REQUESTS = 4_000;
    private static final String DROPPED = "Log lines were dropped here";

    private EksAuthEmulator emulator;
    private String token;
    private Process agent;
    private BufferedReader output;
    private int port;
    private int probes;
    private int metrics;

    @BeforeEach
    void start() throws IOException {
        emulator = Emulators.start();
        token = Emulators.token(emulator, "pod-1");
        List<String> command = new ArrayList<>(AgentProcess.command());
        command.addAll(List.of(
                "server", "--cluster-name", emulator.clusterName(), "--endpoint", emulator.endpoint().toString(),
                "--bind-hosts", AgentProcess.LOOPBACK, "--port", "0", "--probe-port", "0",
                "--metrics-address", AgentProcess.LOOPBACK, "--metrics-port", "0", "--verbosity", "trace",
                "--source-requests-per-second", "0"));
        ProcessBuilder builder = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT);
        builder.environment().clear();
        builder.environment().putAll(AgentProcess.environment(emulator));
        agent = builder.start();
        output = new BufferedReader(new InputStreamReader(agent.getInputStream(), StandardCharsets.UTF_8));
        readUntil("\"msg\":\"Started\"");
        // From here on, the output is not read.
    }

    private List<String> readUntil(String end) throws IOException {
        List<String> lines = new ArrayList<>();
        for (String line = output.readLine(); line != null; line = output.readLine()) {
            lines.add(line);
            Matcher listening = LISTENING.matcher(line);
            if (listening.find()) {
                int number = Integer.parseInt(listening.group(2));
                switch (listening.group(1)) {
                    case "credentials" -> port = number;
                    case "probes" -> probes = number;
                    default -> metrics = number;
                }
            }
            if (line.contains(end)) {
                return lines;
            }
        }
        throw new AssertionError("The agent ended; it wrote:\n" + String.join("\n", lines));
    }

    @AfterEach
    void stop() {
        agent.destroyForcibly();
        emulator.close();
    }

    @Test
    void requestsAndProbesAreAnsweredWhileNobodyReadsTheLog() throws IOException {
        // When
        ask(REQUESTS);

        // Then
        assertThat(RawHttp.exchange(probes, request("GET", "/healthz", "Host: x")).status()).isEqualTo(200);
        assertThat(RawHttp.exchange(probes, request("GET", "/readyz", "Host: x")).status()).isEqualTo(200);
        assertThat(dropped()).isPositive();
    }

    @Test
    void theLogGoesOnOnceItIsReadAndSaysHowManyLinesAreMissing() throws IOException {
        // Given
        ask(REQUESTS);
        long dropped = dropped();

        // When
        List<String> lines = readUntil(DROPPED);
        ask(1);

        // Then
        assertThat(lines.stream().filter(line -> line.contains("Served credentials")).count()).isEqualTo(REQUESTS - dropped);
        assertThat(new JsonObject(lines.get(lines.size() - 1)).getLong("dropped")).isEqualTo(dropped);
        assertThat(readUntil("Served credentials")).hasSize(1);
    }

    @Test
    void aStopIsNotKeptWaitingByTheLog() throws IOException, InterruptedException {
        // Given
        ask(REQUESTS);

        // When
        agent.toHandle().destroy();

        // Then
        assertThat(agent.waitFor(30, TimeUnit.SECONDS)).isTrue();
        assertThat(agent.exitValue()).isZero();
    }

    @Test
    void aStopWritesTheLastLinesIfSomebodyReadsThem() throws IOException, InterruptedException {
        // Given: more output than the pipe holds
        ask(1_000);

        // When
        agent.toHandle().destroy();
        List<String> lines = readUntil("\"msg\":\"Stopped\"");

        // Then
        assertThat(lines.stream().filter(line -> line.contains("Served credentials"))).hasSize(1_000);
        assertThat(agent.waitFor(30, TimeUnit.SECONDS)).isTrue();
        assertThat(agent.exitValue()).isZero();
    }

    @Test
    void aReaderThatIsGoneIsNoReasonToStop() throws IOException, InterruptedException {
        // Given
        output.close();

        // When
        ask(100);

        // Then
        assertThat(RawHttp.exchange(probes, request("GET", "/healthz", "Host: x")).status()).isEqualTo(200);
        agent.toHandle().destroy();
        assertThat(agent.waitFor(30, TimeUnit.SECONDS)).isTrue();
        assertThat(agent.exitValue()).isZero();
    }

    private void ask(int times) throws IOException {
        assertThat(RawHttp.askAsSdk(port, token).status()).isEqualTo(200);
        try (RawHttp http = new RawHttp(port)) {
            for (int i = 1; i < times; i++) {
                assertThat(http.send(request(token)).answer().status()).isEqualTo(200);
            }
        }
    }

    private long dropped() throws IOException {
        String scrape = RawHttp.exchange(metrics, request("GET", "/metrics", "Host: x", "Accept: text/plain")).body();
        return scrape.lines()
                .filter(line -> line.startsWith("pod_identity_log_lines_dropped_total "))
                .mapToLong(line -> (long) Double.parseDouble(line.substring(line.indexOf(' '))))
                .findFirst()
                .orElseThrow(() -> new AssertionError(scrape));
    }
}
