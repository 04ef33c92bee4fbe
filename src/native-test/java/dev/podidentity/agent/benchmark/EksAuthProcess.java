package dev.podidentity.agent.benchmark;

import java.io.BufferedReader;
import java.io.EOFException;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.net.URISyntaxException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Starts {@link EksAuthMain} and communicates with it. For one thread. */
final class EksAuthProcess implements AutoCloseable {

    private final Process process;
    private final PrintStream commands;
    private final BufferedReader answers;
    private final String endpoint;
    private final String cluster;
    private final String region;
    private final String accessKeyId;
    private final String secretAccessKey;
    private int minted;

    static EksAuthProcess start() throws IOException {
        return new EksAuthProcess(new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-Xmx1g", "-XX:+UseSerialGC", "-cp", classPath(), EksAuthMain.class.getName())
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start());
    }

    private EksAuthProcess(Process process) throws IOException {
        this.process = process;
        this.commands = new PrintStream(process.getOutputStream(), true, StandardCharsets.UTF_8);
        this.answers = new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
        String[] words = line().split(" ");
        this.endpoint = words[0];
        this.cluster = words[1];
        this.region = words[2];
        this.accessKeyId = words[3];
        this.secretAccessKey = words[4];
    }

    /** Returns the class path of this class, which Maven did not load from the class path of its own process. */
    private static String classPath() {
        if (!(EksAuthProcess.class.getClassLoader() instanceof URLClassLoader loader)) {
            return System.getProperty("java.class.path");
        }
        List<String> entries = new ArrayList<>();
        for (URL url : loader.getURLs()) {
            try {
                entries.add(Path.of(url.toURI()).toString());
            } catch (URISyntaxException e) {
                throw new IllegalStateException("An entry of the class path is not a file: " + url, e);
            }
        }
        return String.join(File.pathSeparator, entries);
    }

    String endpoint() {
        return endpoint;
    }

    String cluster() {
        return cluster;
    }

    String region() {
        return region;
    }

    /** Returns the environment with which an agent can call it. */
    Map<String, String> environment() {
        return Map.of(
                "AWS_ACCESS_KEY_ID", accessKeyId,
                "AWS_SECRET_ACCESS_KEY", secretAccessKey,
                "AWS_REGION", region,
                "AWS_EC2_METADATA_DISABLED", "true");
    }

    /** Sets the duration of each call from now on. */
    void delay(int millis) throws IOException {
        ask("delay " + millis);
    }

    void resetCalls() throws IOException {
        ask("reset");
    }

    int calls() throws IOException {
        return Integer.parseInt(ask("calls"));
    }

    /** Returns when the last call ended: {@link System#nanoTime()}, which all processes of a Linux machine share. */
    long lastEnd() throws IOException {
        return Long.parseLong(ask("last-end"));
    }

    /** Returns the public keys of its tokens. */
    String keys() throws IOException {
        return ask("keys");
    }

    /** Returns new tokens, each for a different pod. */
    List<String> mint(int count) throws IOException {
        Path file = Files.createTempFile("tokens", ".txt");
        try {
            ask("mint " + minted + " " + count + " " + file);
            minted += count;
            return Files.readAllLines(file);
        } finally {
            Files.delete(file);
        }
    }

    private String ask(String command) throws IOException {
        commands.println(command);
        return line();
    }

    private String line() throws IOException {
        String line = answers.readLine();
        if (line == null) {
            throw new EOFException("The emulated EKS Auth has ended");
        }
        return line;
    }

    /** Closes its input, which makes it end. */
    @Override
    public void close() throws IOException {
        commands.close();
        answers.close();
        process.onExit().join();
    }
}
