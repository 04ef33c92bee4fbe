package dev.podidentity.agent.realcluster;

import static org.assertj.core.api.Assertions.assertThat;

import io.fabric8.kubernetes.client.Config;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;
import io.vertx.core.json.JsonObject;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/** Runs kube-apiserver in a separate process, on a port that is kept when it restarts. */
final class ApiServerProcess implements AutoCloseable {

    private static final Duration PATIENCE = Duration.ofSeconds(120);

    private final Path directory;
    private final int port;
    private List<String> flags = List.of();
    private Process process;
    private KubernetesClient administrator;

    /** Creates a server without starting it. Its directory may contain the data of an earlier server. */
    ApiServerProcess(Path directory) {
        this.directory = directory;
        this.port = freePort();
    }

    /** Starts the server and waits until it is ready. */
    ApiServerProcess start(String... kubeApiserverFlags) {
        flags = List.of(kubeApiserverFlags);
        return restart();
    }

    /** Starts the server with the same flags as before and waits until it is ready. */
    ApiServerProcess restart() {
        Process started = launch();
        awaitReady(started);
        return this;
    }

    /** Starts the server with the same flags as before, without waiting. */
    Process launch() {
        List<String> command = new ArrayList<>(List.of("start", directory.toString(), "--secure-port=" + port));
        command.addAll(flags);
        process = run(directory, command);
        return process;
    }

    /** Waits until {@code /readyz} responds with 200. */
    static String awaitReady(Process started) {
        return CompletableFuture.supplyAsync(() -> firstLine(started), task -> {
                    Thread thread = new Thread(task, "api-server-output");
                    thread.setDaemon(true);
                    thread.start();
                })
                .orTimeout(PATIENCE.toSeconds(), TimeUnit.SECONDS)
                .join();
    }

    private static String firstLine(Process started) {
        try (BufferedReader lines =
                new BufferedReader(new InputStreamReader(started.getInputStream(), StandardCharsets.UTF_8))) {
            String line = lines.readLine();
            if (line == null || !line.startsWith("ready ")) {
                throw new IllegalStateException("kube-apiserver does not start: see the logs in its directory; printed: " + line);
            }
            return line.substring("ready ".length());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Starts the program. It ends when its standard input is closed, so it does not outlive this process. */
    static Process run(Path directory, List<String> arguments) {
        List<String> command = new ArrayList<>(List.of(GoProgram.API_SERVER.get().toString()));
        command.addAll(arguments);
        try {
            Files.createDirectories(directory);
            return new ProcessBuilder(command)
                    .redirectError(ProcessBuilder.Redirect.appendTo(directory.resolve("log").toFile()))
                    .start();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    URI url() {
        return URI.create("https://127.0.0.1:" + port);
    }

    int port() {
        return port;
    }

    Path directory() {
        return directory;
    }

    Path authority() {
        return directory.resolve("ca.crt");
    }

    Path kubeconfig() {
        return directory.resolve("admin.kubeconfig");
    }

    /** Returns a client with all permissions. It is closed together with this server. */
    synchronized KubernetesClient administrator() {
        if (administrator == null) {
            administrator = new KubernetesClientBuilder()
                    .withConfig(Config.fromKubeconfig(kubeconfig().toFile()))
                    .build();
        }
        return administrator;
    }

    /** Runs kubectl as the administrator and returns its output. Fails the test if kubectl fails. */
    String kubectl(String... arguments) {
        Kubectl ran = tryKubectl(arguments);
        assertThat(ran.exitCode()).as(ran.output()).isZero();
        return ran.output();
    }

    /** Runs kubectl as the administrator and returns its exit code and output. */
    Kubectl tryKubectl(String... arguments) {
        List<String> command = new ArrayList<>(List.of(GoProgram.API_SERVER.get().toString(), "kubectl"));
        command.addAll(List.of(arguments));
        ProcessBuilder kubectl = new ProcessBuilder(command).redirectErrorStream(true);
        kubectl.environment().put("KUBECONFIG", kubeconfig().toString());
        kubectl.environment().put("HOME", directory.toString());
        try {
            Process ran = kubectl.start();
            String output = new String(ran.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            assertThat(ran.waitFor(PATIENCE.toSeconds(), TimeUnit.SECONDS)).as("kubectl ends").isTrue();
            return new Kubectl(ran.exitValue(), output);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    /** Returns the completed requests of a user, in the order of the audit log. */
    List<Audited> audited(String user) {
        try (Stream<String> lines = Files.lines(directory.resolve("audit.log"))) {
            return lines.filter(line -> line.contains('"' + user + '"') && line.endsWith("}"))
                    .map(JsonObject::new)
                    .filter(entry -> entry.getJsonObject("user").getString("username").equals(user))
                    // A watch is logged at its start and at its end; any other request is logged once.
                    .filter(entry -> entry.getString("verb").equals("watch")
                            == entry.getString("stage").equals("ResponseStarted"))
                    .map(Audited::of)
                    .toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Returns how many requests with this verb, such as {@code list}, and a path that contains a text agents have made. */
    long agentsCalls(String verb, String inPath) {
        return audited(RealCluster.AGENT_USER).stream()
                .filter(call -> call.verb().equals(verb) && call.path().contains(inPath))
                .count();
    }

    /** Ends the server immediately, like a crash. A graceful shutdown would wait a minute for watches. */
    void kill() {
        process.destroyForcibly();
        try {
            assertThat(process.waitFor(PATIENCE.toSeconds(), TimeUnit.SECONDS)).as("kube-apiserver ends").isTrue();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    /** Suspends the process, so that connections stay open but no request gets a response. */
    void freeze() {
        signal("STOP");
    }

    /** Resumes the process after {@link #freeze}. */
    void thaw() {
        signal("CONT");
    }

    private void signal(String name) {
        try {
            Process sent = new ProcessBuilder("kill", "-" + name, Long.toString(process.pid())).start();
            assertThat(sent.waitFor()).isZero();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    /** Copies the certificates of another server, so that both have the same certificate authority. */
    ApiServerProcess withCertificatesOf(ApiServerProcess other) {
        try {
            Files.createDirectories(directory);
            for (String name : List.of("ca.crt", "server.crt", "server.key", "admin.crt", "admin.key")) {
                Files.copy(other.directory.resolve(name), directory.resolve(name), StandardCopyOption.REPLACE_EXISTING);
            }
            return this;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static int freePort() {
        try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getByName("127.0.0.1"))) {
            return free.getLocalPort();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public void close() {
        if (administrator != null) {
            administrator.close();
        }
        if (process != null) {
            kill();
        }
    }

    /** The exit code of kubectl, and its standard output and standard error. */
    record Kubectl(int exitCode, String output) {}

    /**
     * A request in the audit log.
     *
     * @param verb the Kubernetes verb, such as {@code watch}
     * @param path the path with its query
     * @param status the HTTP status
     */
    record Audited(String verb, String path, int status, String userAgent) {

        private static Audited of(JsonObject entry) {
            return new Audited(entry.getString("verb"), entry.getString("requestURI"),
                    entry.getJsonObject("responseStatus", new JsonObject()).getInteger("code", 0), entry.getString("userAgent"));
        }
    }
}
