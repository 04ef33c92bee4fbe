package dev.podidentity.agent;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;

/**
 * What runs in a pod: a program with an AWS SDK and an environment, and nothing else. It gets credentials as its SDK
 * does and signs a call with them to the service of its argument, which refuses it. It prints these lines, the second
 * one where the SDK shows it:
 *
 * <pre>{@code
 * access key id: ASIA...
 * expiration: 2026-01-01T06:00:00Z
 * called
 * }</pre>
 */
enum Workload {
    JAVA {
        @Override
        List<String> command() {
            return List.of(
                    Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                    "-cp", System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")),
                    PodWorkload.class.getName());
        }
    },

    PYTHON {
        @Override
        List<String> command() throws IOException, InterruptedException {
            Path home = installed("python", "requirements.txt", "python3", "-m", "pip", "install", "--quiet", "--retries", "1",
                    "--timeout", "15", "--target", ".", "--upgrade", "--no-deps", "--only-binary", ":all:", "--require-hashes",
                    "-r", "requirements.txt");
            return List.of("python3", home.resolve("pod_workload.py").toString());
        }
    },

    JAVASCRIPT {
        @Override
        List<String> command() throws IOException, InterruptedException {
            Path home = installed("node", "package-lock.json", "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts",
                    "--prefer-offline", "--engine-strict", "--fetch-retries=1", "--fetch-retry-mintimeout=1000",
                    "--fetch-timeout=15000");
            return List.of("node", home.resolve("pod-workload.js").toString());
        }
    };

    private static final Path SOURCES = Path.of("src", "native-test");
    private static final Path INSTALLED = Path.of("target", "workloads").toAbsolutePath();
    private static final Duration PATIENCE = Duration.ofMinutes(3);

    /** What to run; the URLs of services to call come after it. Skips the test where the SDK cannot be had. */
    abstract List<String> command() throws IOException, InterruptedException;

    /** The folder with the program and its packages, which are fetched once and again when the pinned versions change. */
    private static Path installed(String language, String pinned, String... installer) throws IOException, InterruptedException {
        Path home = Files.createDirectories(INSTALLED.resolve(language));
        try (Stream<Path> sources = Files.list(SOURCES.resolve(language))) {
            for (Path source : sources.toList()) {
                Files.copy(source, home.resolve(source.getFileName()), StandardCopyOption.REPLACE_EXISTING);
            }
        }
        Path done = home.resolve("installed");
        if (!Files.exists(done) || Files.mismatch(done, home.resolve(pinned)) >= 0) {
            install(language, home, installer);
            Files.copy(home.resolve(pinned), done, StandardCopyOption.REPLACE_EXISTING);
        }
        return home;
    }

    private static void install(String language, Path home, String... installer) throws InterruptedException {
        String why;
        try {
            Finished run = Finished.run(
                    new ProcessBuilder(installer).directory(home.toFile()), home.resolve("install.log"), PATIENCE);
            why = run.exitCode() == 0 ? "" : run.output();
        } catch (IOException e) {
            why = e.getMessage();
        }
        Assumptions.assumeTrue(why.isEmpty(), "The AWS SDK of " + language + " cannot be had here: " + why);
    }
}
