package dev.podidentity.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.podidentity.image.OciLayout;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.AnnotatedElementContext;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.io.TempDirFactory;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The image, run as by a container runtime on a node: with its own read-only root, its own network with only the loopback
 * link, and the user, the bounding set and {@code no_new_privs} of {@code kubernetes/base}.
 */
class ImageIT {

    private static final int NET_BIND_SERVICE = 10;
    private static final int NET_ADMIN = 12;

    /** The capabilities that containerd leaves to a container by default, which include {@link #NET_BIND_SERVICE}. */
    private static final List<Integer> RUNTIME_DEFAULT = List.of(0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31);

    private static final String SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin";
    private static final List<String> TOOLS =
            List.of("capsh", "curl", "getcap", "ip", "mount", "nsenter", "tar", "unshare");

    /** What a runtime does before it starts a container. The mounts end with the process. */
    private static final String CONTAINER = """
            set -e
            root=$1
            shift
            ip link set lo up
            mount --bind "$root" "$root"
            mount -t proc proc "$root/proc"
            mount --bind /dev "$root/dev"
            mount -o remount,bind,ro "$root"
            exec capsh --chroot="$root" "$@"
            """;

    private static final Map<String, String> ENVIRONMENT = Map.of(
            "PATH", SYSTEM_PATH,
            "AWS_REGION", "eu-west-1",
            "AWS_ACCESS_KEY_ID", "AKIAEXAMPLE",
            "AWS_SECRET_ACCESS_KEY", "emulated-secret-key",
            "AWS_EC2_METADATA_DISABLED", "true");

    @TempDir(factory = UnderTarget.class)
    private static Path root;

    private static OciLayout image;

    @BeforeAll
    static void unpack() throws IOException {
        assumeThat(System.getProperty("agent.image")).as("the image is made by a native build").isNotNull();
        Path archive = Path.of(System.getProperty("agent.image"));
        assertThat(archive).isRegularFile();
        assumeThat(Files.getAttribute(Path.of("/proc/self"), "unix:uid")).as("only root can do what a runtime does").isEqualTo(0);
        assumeThat(TOOLS).as("tools that do what a runtime does").allMatch(ImageIT::isInstalled);
        assumeThat(exitCode("unshare", "--net", "--mount", "true")).as("root may be confined, too").isZero();

        image = OciLayout.read(Files.readAllBytes(archive));
        Path layer = Files.write(root.resolve("layer.tar.gz"), image.layer());
        output("tar", "--extract", "--gzip", "--file", layer.toString(), "--directory", root.toString(),
                "--numeric-owner", "--xattrs", "--xattrs-include=*");
        Files.delete(layer);
        Files.createDirectories(root.resolve("proc"));
        Files.createDirectories(root.resolve("dev"));
    }

    @Test
    void saysWhatItIsAndWhatToRun() {
        assertThat(image.config().getString("architecture"))
                .isEqualTo(System.getProperty("os.arch").equals("aarch64") ? "arm64" : "amd64");
        assertThat(image.runtime().getString("User")).isEqualTo("65532:65532");
        assertThat(image.runtime().getJsonArray("Entrypoint")).containsExactly("/eks-pod-identity-agent");
        assertThat(image.runtime().getJsonObject("Labels").getString("org.opencontainers.image.version"))
                .matches("\\d+\\.\\d+\\.\\d+.*");
    }

    @Test
    void holdsTheExecutableAndGlibcAndNothingElse() {
        assertThat(image.entries().keySet().stream().filter(name -> !name.endsWith("/")))
                .hasSize(5)
                .contains("eks-pod-identity-agent", "etc/nsswitch.conf", "go-runner")
                .anyMatch(name -> name.matches("lib(64)?/ld-linux-.*"))
                .anyMatch(name -> name.endsWith("/libc.so.6"));
    }

    @Test
    void permitsTheExecutableToUsePort80AndToSetUpTheNetwork() {
        assertThat(output("getcap", root.resolve("eks-pod-identity-agent").toString()))
                .endsWith(" cap_net_bind_service,cap_net_admin=p");
    }

    @Test
    void runsWhereTheFilesCapabilityCannotBeHad() {
        // If the capabilities were effective, the kernel would refuse to run the file as an init container with only
        // NET_ADMIN.
        try (AgentProcess agent = container(0, NET_ADMIN, "version")) {
            assertThat(agent.awaitExit()).isZero();
            assertThat(agent.output()).singleElement().asString().startsWith("eks-pod-identity-agent ");
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {65532, 1_000_730_000})
    void answersProbesAsAnyUserOnAReadOnlyRoot(int user) {
        try (AgentProcess agent = container(user, NET_BIND_SERVICE,
                "server", "--cluster-name", "cluster", "--bind-hosts", "127.0.0.1", "--port", "8080")) {
            // When
            agent.awaitLine(line -> line.contains("\"listener\":\"probes\",\"address\":\"localhost:2703\""));

            // Then
            assertThat(get(agent, "http://localhost:2703/healthz")).isEqualTo("ok");
            assertThat(status(agent)).contains("Uid:\t" + user, "NoNewPrivs:\t1", "CapPrm:\t0000000000000400");
            agent.terminate();
            assertThat(agent.awaitExit()).isZero();
            assertThat(agent.output()).noneMatch(line -> line.contains("WARN") || line.contains("ERROR"));
        }
    }

    @Test
    void servesCredentialsOnPort80AsNobodyInParticular() {
        assumeThat(canInitialize()).as("the executable raises its capability itself").isTrue();
        try (AgentProcess agent = container(65532, NET_BIND_SERVICE,
                "server", "--cluster-name", "cluster", "--bind-hosts", "127.0.0.1")) {
            assertThat(agent.awaitLine(line -> line.contains("\"listener\":\"credentials\"") || line.contains("cannot be bound")))
                    .contains("\"msg\":\"Listening\"", "127.0.0.1:80");
        }
    }

    @Test
    void setsUpTheNodeAsRootWithNothingButNetAdmin() {
        assumeThat(canInitialize()).as("the executable has the command").isTrue();
        try (AgentProcess agent = container(0, NET_ADMIN, "initialize")) {
            assertThat(agent.awaitExit()).as(String.join("\n", agent.output())).isZero();
        }
    }

    @Test
    void setsUpTheNodeAsNobodyInParticularWithNothingButNetAdmin() {
        try (AgentProcess agent = container(65532, NET_ADMIN, "initialize")) {
            assertThat(agent.awaitExit()).as(String.join("\n", agent.output())).isZero();
        }
    }

    /** With only the image changed: both containers run as the image's user, and their commands are those of go-runner. */
    @Test
    void takesTheReferencesPlaceInItsOwnChart() {
        try (NetworkNamespace node = NetworkNamespace.create()) {
            // Given
            node.ip("link set lo up");

            // When: it is privileged
            try (AgentProcess initialize = referencesContainer(node, allCapabilities(),
                    "initialize", "-v", "trace")) {
                // Then
                assertThat(initialize.awaitExit()).as(String.join("\n", initialize.output())).isZero();
                assertThat(node.ip("-oneline address show")).contains("169.254.170.23/32");
            }

            // When
            try (AgentProcess server = referencesContainer(node, RUNTIME_DEFAULT,
                    "server", "--port", "80", "--cluster-name", "prod", "--probe-port", "2703", "-v", "trace")) {
                server.awaitLine(line -> line.contains("\"Listening\"") && line.contains("169.254.170.23:80"));
                server.awaitLine(line -> line.contains("\"Listening\"") && line.contains("localhost:2703"));

                // Then
                assertThat(get(server, "http://localhost:2703/healthz")).isEqualTo("ok");
                assertThat(ask(server, "http://169.254.170.23/v1/credentials")).contains("InvalidTokenException", "\n400");
                assertThat(status(server)).contains("Uid:\t65532", "CapEff:\t0000000000000400");
                server.terminate();
                assertThat(server.awaitExit()).isZero();
            }
        }
    }

    /** Starts the command and arguments of the reference's chart, in a container that may escalate privileges. */
    private static AgentProcess referencesContainer(NetworkNamespace node, List<Integer> capabilities, String... arguments) {
        List<String> command = new ArrayList<>(
                node.inside("unshare", "--mount", "sh", "-c", CONTAINER, "sh", root.toString()));
        String dropped = numbers(allCapabilities().stream().filter(each -> !capabilities.contains(each)));
        if (!dropped.isEmpty()) {
            command.add("--drop=" + dropped);
        }
        command.addAll(List.of(
                "--groups=", "--gid=65532", "--uid=65532", "--shell=/go-runner", "--", "/eks-pod-identity-agent"));
        return AgentProcess.run(command, ENVIRONMENT, arguments);
    }

    /** Starts the image's entry point. */
    private static AgentProcess container(int user, int capability, String... arguments) {
        List<String> command = new ArrayList<>(
                List.of("unshare", "--net", "--mount", "sh", "-c", CONTAINER, "sh", root.toString()));
        command.add("--drop=" + numbers(allCapabilities().stream().filter(each -> each != capability)));
        command.addAll(List.of("--keep=1", "--groups=", "--gid=" + user, "--uid=" + user));
        // A runtime leaves the capabilities in the process's sets; the kernel removes them from a non-root user at exec.
        command.addAll(List.of("--caps=" + capability + "=ep", "--no-new-privs", "--shell=/eks-pod-identity-agent", "--"));
        command.addAll(List.of(arguments));
        return AgentProcess.run(command, ENVIRONMENT);
    }

    private static List<Integer> allCapabilities() {
        try {
            int last = Integer.parseInt(Files.readString(Path.of("/proc/sys/kernel/cap_last_cap")).strip());
            return IntStream.rangeClosed(0, last).boxed().toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static String numbers(Stream<Integer> capabilities) {
        return capabilities.map(String::valueOf).collect(Collectors.joining(","));
    }

    private static boolean canInitialize() {
        try (AgentProcess agent = container(65532, NET_BIND_SERVICE, "--help")) {
            assertThat(agent.awaitExit()).isZero();
            return agent.output().stream().anyMatch(line -> line.contains("initialize"));
        }
    }

    /** Sends a GET request from the agent's own network. */
    private static String get(AgentProcess agent, String url) {
        return output("nsenter", "--target", Long.toString(agent.pid()), "--net",
                "curl", "--silent", "--show-error", "--fail", "--max-time", "10", url);
    }

    /** Sends a request from the agent's own network; returns the body, and the status on a line of its own. */
    private static String ask(AgentProcess agent, String url) {
        return output("nsenter", "--target", Long.toString(agent.pid()), "--net",
                "curl", "--silent", "--show-error", "--max-time", "10", "--write-out", "\n%{http_code}", url);
    }

    private static String status(AgentProcess agent) {
        return output("cat", "/proc/" + agent.pid() + "/status");
    }

    private static boolean isInstalled(String tool) {
        return Stream.of(SYSTEM_PATH.split(":")).anyMatch(directory -> Files.isExecutable(Path.of(directory, tool)));
    }

    /** Returns the output of a command that must succeed. */
    private static String output(String... command) {
        Process process = start(command);
        try {
            String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
            assertThat(process.onExit().join().exitValue()).as(output).isZero();
            return output;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static int exitCode(String... command) {
        return start(command).onExit().join().exitValue();
    }

    private static Process start(String... command) {
        ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
        builder.environment().put("PATH", SYSTEM_PATH);
        try {
            return builder.start();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Under target, because the system's temporary directory is often mounted so that files in it have no capabilities. */
    static final class UnderTarget implements TempDirFactory {

        @Override
        public Path createTempDirectory(AnnotatedElementContext element, ExtensionContext context) throws IOException {
            Path directory = Files.createTempDirectory(Files.createDirectories(Path.of("target").toAbsolutePath()), "image-root");
            return Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwxr-xr-x"));
        }
    }
}
