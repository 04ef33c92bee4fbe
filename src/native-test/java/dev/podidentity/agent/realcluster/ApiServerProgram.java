package dev.podidentity.agent.realcluster;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.HexFormat;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/**
 * The program of {@code src/native-test/go}: kube-apiserver with etcd, and kubectl. It is built once, in some minutes, into a
 * directory that outlives {@code target}; another version of its sources goes into another directory.
 */
final class ApiServerProgram {

    /** The system property that names the directory; the Maven profile {@code cluster} sets it. */
    static final String CACHE = "cluster.cache";

    private static final Path SOURCES = Path.of("src", "native-test", "go").toAbsolutePath();
    private static final String VERSION = "-s -w -X k8s.io/component-base/version.gitVersion=v1.35.4"
            + " -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=35";
    private static final Duration BUILD_PATIENCE = Duration.ofMinutes(25);
    private static final Duration PATIENCE = Duration.ofSeconds(60);

    private ApiServerProgram() {}

    /** Why it cannot be had here; empty if it can. */
    static Optional<String> missing() {
        if (System.getProperty(CACHE) == null) {
            return Optional.of("needs a kube-apiserver: mvn verify -Pcluster");
        }
        return Files.exists(built()) || thereIsGo()
                ? Optional.empty()
                : Optional.of("needs Go 1.25 or later, to build kube-apiserver");
    }

    /** Asked where the sources are, an old Go fails if it cannot get the version that they need. */
    private static boolean thereIsGo() {
        try {
            Process go = new ProcessBuilder("go", "version").directory(SOURCES.toFile()).redirectErrorStream(true)
                    .redirectOutput(ProcessBuilder.Redirect.DISCARD).start();
            if (!go.waitFor(PATIENCE.toSeconds(), TimeUnit.SECONDS)) {
                go.destroyForcibly();
                return false;
            }
            return go.exitValue() == 0;
        } catch (IOException e) {
            return false;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    /** The executable, which is built if it is not there. */
    static synchronized Path get() {
        Path program = built();
        if (Files.notExists(program)) {
            try {
                build(program);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new IllegalStateException(e);
            }
        }
        return program;
    }

    /** Beside its place, to which it is moved whole: a build that is interrupted leaves nothing there. */
    private static void build(Path program) throws IOException, InterruptedException {
        Files.createDirectories(program.getParent());
        Path unfinished = Files.createTempDirectory(program.getParent(), "build-");
        try {
            Path log = unfinished.resolve("log");
            ProcessBuilder go = new ProcessBuilder("go", "build", "-trimpath", "-ldflags", VERSION, "-o",
                    unfinished.resolve("api-server").toString(), ".");
            go.environment().put("CGO_ENABLED", "0");
            Process process = go.directory(SOURCES.toFile()).redirectErrorStream(true).redirectOutput(log.toFile()).start();
            if (!process.waitFor(BUILD_PATIENCE.toSeconds(), TimeUnit.SECONDS)) {
                process.descendants().forEach(ProcessHandle::destroyForcibly);
                process.destroyForcibly();
                throw new IOException("Building kube-apiserver takes over " + BUILD_PATIENCE);
            }
            if (process.exitValue() != 0) {
                throw new IOException("kube-apiserver cannot be built: " + Files.readString(log));
            }
            move(unfinished.resolve("api-server"), program);
        } finally {
            try (Stream<Path> left = Files.list(unfinished)) {
                for (Path file : left.toList()) {
                    Files.delete(file);
                }
            }
            Files.delete(unfinished);
        }
    }

    private static void move(Path from, Path to) throws IOException {
        try {
            Files.move(from, to, StandardCopyOption.ATOMIC_MOVE);
        } catch (AtomicMoveNotSupportedException e) {
            throw new IOException("The cache of kube-apiserver must be on one file system: " + to, e);
        }
    }

    private static Path built() {
        return Path.of(System.getProperty(CACHE), hash(), "api-server");
    }

    /** Of all that the program is made of. */
    private static String hash() {
        try (Stream<Path> files = Files.list(SOURCES)) {
            MessageDigest digest = MessageDigest.getInstance("SHA-256");
            for (Path file : files.filter(each -> !each.endsWith("README.md")).sorted().toList()) {
                digest.update(Files.readAllBytes(file));
            }
            digest.update(VERSION.getBytes(StandardCharsets.UTF_8));
            return HexFormat.of().formatHex(digest.digest(), 0, 8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }
}
