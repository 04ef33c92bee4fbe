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
 * Describes a program that is built from Go modules. A build takes several minutes, so it happens once, into a directory outside
 * {@code target}. Each version of the sources has its own directory.
 *
 * @param name the name of the executable
 * @param sources the directory of its module
 * @param main the package of its main function
 * @param linkerFlags the flags for the linker
 */
record GoProgram(String name, Path sources, String main, String linkerFlags) {

    /** A program that contains kube-apiserver, etcd and kubectl. */
    static final GoProgram API_SERVER = new GoProgram("api-server", Path.of("src", "native-test", "go").toAbsolutePath(), ".",
            "-s -w -X k8s.io/component-base/version.gitVersion=v1.35.4"
                    + " -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=35");

    static final GoProgram HELM = new GoProgram(
            "helm", Path.of("src", "native-test", "helm").toAbsolutePath(), "helm.sh/helm/v4/cmd/helm", "-s -w");

    /** The system property for the directory of built programs. The Maven profile {@code cluster} sets it. */
    static final String CACHE = "cluster.cache";

    private static final Duration BUILD_PATIENCE = Duration.ofMinutes(25);
    private static final Duration PATIENCE = Duration.ofSeconds(60);

    /** Returns why the program is not available here, or empty if it is. */
    Optional<String> missing() {
        if (System.getProperty(CACHE) == null) {
            return Optional.of("Needs a kube-apiserver: run mvn verify -Pcluster");
        }
        return Files.exists(built()) || thereIsGo()
                ? Optional.empty()
                : Optional.of("Needs Go 1.25 or later to build " + name);
    }

    /** Runs {@code go} in the source directory, where an old Go fails if it cannot download the version that the module needs. */
    private boolean thereIsGo() {
        try {
            Process go = new ProcessBuilder("go", "version").directory(sources.toFile()).redirectErrorStream(true)
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

    /** Returns the executable, and builds it first if it does not exist. */
    Path get() {
        synchronized (GoProgram.class) {
            return builtIfNeeded();
        }
    }

    private Path builtIfNeeded() {
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

    /** Builds the program in a temporary directory and then moves it, so that an interrupted build leaves nothing behind. */
    private void build(Path program) throws IOException, InterruptedException {
        Files.createDirectories(program.getParent());
        Path unfinished = Files.createTempDirectory(program.getParent(), "build-");
        try {
            Path log = unfinished.resolve("log");
            ProcessBuilder go = new ProcessBuilder("go", "build", "-trimpath", "-ldflags", linkerFlags, "-o",
                    unfinished.resolve(name).toString(), main);
            go.environment().put("CGO_ENABLED", "0");
            Process process = go.directory(sources.toFile()).redirectErrorStream(true).redirectOutput(log.toFile()).start();
            try {
                if (!process.waitFor(BUILD_PATIENCE.toSeconds(), TimeUnit.SECONDS)) {
                    throw new IOException("Building " + name + " takes longer than " + BUILD_PATIENCE);
                }
            } finally {
                // Also needed when a test that exceeds its timeout is interrupted.
                process.descendants().forEach(ProcessHandle::destroyForcibly);
                process.destroyForcibly();
            }
            if (process.exitValue() != 0) {
                throw new IOException(name + " cannot be built: " + Files.readString(log));
            }
            move(unfinished.resolve(name), program);
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
            throw new IOException("The cache of programs must be on one file system: " + to, e);
        }
    }

    private Path built() {
        return Path.of(System.getProperty(CACHE), hash(), name);
    }

    /** Returns a hash of everything from which the program is built. */
    private String hash() {
        try (Stream<Path> files = Files.list(sources)) {
            MessageDigest digest = MessageDigest.getInstance("SHA-256");
            for (Path file : files.filter(each -> !each.endsWith("README.md")).sorted().toList()) {
                digest.update(Files.readAllBytes(file));
            }
            digest.update(linkerFlags.getBytes(StandardCharsets.UTF_8));
            return HexFormat.of().formatHex(digest.digest(), 0, 8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }
}
