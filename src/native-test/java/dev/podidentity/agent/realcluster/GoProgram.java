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
 * A program that is built from Go's modules, once, in some minutes, into a directory that outlives {@code target}; another
 * version of its sources goes into another directory.
 *
 * @param name of the executable
 * @param sources the directory of its module
 * @param main the package of its main function
 * @param linkerFlags for the linker
 */
record GoProgram(String name, Path sources, String main, String linkerFlags) {

    /** kube-apiserver with etcd, and kubectl. */
    static final GoProgram API_SERVER = new GoProgram("api-server", Path.of("src", "native-test", "go").toAbsolutePath(), ".",
            "-s -w -X k8s.io/component-base/version.gitVersion=v1.35.4"
                    + " -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=35");

    /** Helm. */
    static final GoProgram HELM = new GoProgram(
            "helm", Path.of("src", "native-test", "helm").toAbsolutePath(), "helm.sh/helm/v4/cmd/helm", "-s -w");

    /** The system property that names the directory; the Maven profile {@code cluster} sets it. */
    static final String CACHE = "cluster.cache";

    private static final Duration BUILD_PATIENCE = Duration.ofMinutes(25);
    private static final Duration PATIENCE = Duration.ofSeconds(60);

    /** Why it cannot be had here; empty if it can. */
    Optional<String> missing() {
        if (System.getProperty(CACHE) == null) {
            return Optional.of("needs a kube-apiserver: mvn verify -Pcluster");
        }
        return Files.exists(built()) || thereIsGo()
                ? Optional.empty()
                : Optional.of("needs Go 1.25 or later, to build " + name);
    }

    /** Asked where the sources are, an old Go fails if it cannot get the version that they need. */
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

    /** The executable, which is built if it is not there. */
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

    /** Beside its place, to which it is moved whole: a build that is interrupted leaves nothing there. */
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
                    throw new IOException("Building " + name + " takes over " + BUILD_PATIENCE);
                }
            } finally {
                // Not only then: a test that takes too long is interrupted.
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

    /** Of all that the program is made of. */
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
