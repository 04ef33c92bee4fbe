package dev.podidentity.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;

/** A new network namespace, like that of a node that has just started, which is removed when it is closed. */
final class NetworkNamespace implements AutoCloseable {

    private static final AtomicInteger COUNT = new AtomicInteger();
    private static final String PREFIX = "agent-" + ProcessHandle.current().pid() + "-";

    private final String name;

    private NetworkNamespace(String name) {
        this.name = name;
    }

    /** Creates a namespace; skips the test if that is not permitted, or if there is no native executable. */
    static NetworkNamespace create() {
        assumeTrue(System.getProperty("agent.executable") != null, "needs the native executable: mvn verify -Dnative");
        assumeTrue(isRoot(), "needs root, to make network namespaces");
        NetworkNamespace namespace = new NetworkNamespace(PREFIX + COUNT.incrementAndGet());
        Result made = execute(List.of("ip", "netns", "add", namespace.name));
        assumeTrue(made.code() == 0, () -> "cannot make network namespaces here: " + made.output());
        // Duplicate address detection takes a second, during which an address cannot be used.
        namespace.set("net/ipv6/conf/default/accept_dad", 0);
        return namespace;
    }

    private static boolean isRoot() {
        try {
            return Integer.valueOf(0).equals(Files.getAttribute(Path.of("/proc/self"), "unix:uid"));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    String name() {
        return name;
    }

    /** Returns a command that runs in this namespace. It replaces the process that is started, and keeps its ID. */
    List<String> inside(String... command) {
        return Stream.concat(Stream.of("ip", "netns", "exec", name), Stream.of(command)).toList();
    }

    /** Returns the output of {@code ip} in this namespace. */
    String ip(String arguments) {
        return run(ipCommand(arguments));
    }

    /** Returns whether {@code ip} succeeds in this namespace. */
    boolean can(String arguments) {
        return execute(ipCommand(arguments)).code() == 0;
    }

    private List<String> ipCommand(String arguments) {
        return Stream.concat(Stream.of("ip", "-n", name), Stream.of(arguments.split(" "))).toList();
    }

    /** Changes a kernel setting in this namespace. */
    void set(String setting, int value) {
        run(inside("sh", "-c", "echo " + value + " > /proc/sys/" + setting));
    }

    /** Runs a command in this machine's own namespace, and expects success. */
    static String run(List<String> command) {
        Result result = execute(command);
        assertThat(result.code()).as("%s: %s", command, result.output()).isZero();
        return result.output();
    }

    static Result execute(List<String> command) {
        try {
            Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
            process.getOutputStream().close();
            String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            return new Result(process.waitFor(), output);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    @Override
    public void close() {
        run(List.of("ip", "netns", "delete", name));
    }

    record Result(int code, String output) {}
}
