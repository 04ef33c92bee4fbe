package dev.podidentity.agent.benchmark;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The load generator wrk, with one thread: this leaves the other processors to the agent, and -c 1 requires it. */
final class Wrk {

    private static final Path SCRIPT = Path.of("src/native-test/benchmark/credentials.lua");
    private static final Pattern VERSION = Pattern.compile("wrk\\s+(?:debian/)?(\\S+)");

    private final String version;

    private Wrk(String version) {
        this.version = version;
    }

    /** @throws IllegalStateException if wrk is missing; the message says what to install */
    static Wrk find() throws InterruptedException {
        try {
            Matcher version = VERSION.matcher(output(new ProcessBuilder("wrk", "-v").redirectErrorStream(true).start()));
            return new Wrk(version.find() ? version.group(1) : "of an unknown version");
        } catch (IOException e) {
            throw new IllegalStateException("The load generator wrk is not on the PATH: install it (Debian: apt-get install"
                    + " wrk)", e);
        }
    }

    String version() {
        return version;
    }

    /** Sends requests over this many connections for this many seconds, each with the next token of the file. */
    WrkResult run(int port, Load load, int seconds, Path tokens) throws IOException, InterruptedException {
        List<String> command = List.of(
                "wrk", "-t", "1", "-c", String.valueOf(load.connections()), "-d", seconds + "s", "--timeout", "10s",
                "-s", SCRIPT.toString(), "http://127.0.0.1:" + port + load.path(),
                "--", tokens.toString(), load.keepAlive() ? "keep-alive" : "close");
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String output = output(process);
        if (process.waitFor() != 0) {
            throw new IllegalStateException("wrk failed: " + output);
        }
        return WrkResult.parse(output);
    }

    private static String output(Process process) throws IOException, InterruptedException {
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        process.waitFor();
        return output;
    }
}
