package dev.podidentity.agent;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;

/**
 * A program with an AWS SDK and an environment, as it runs in a pod. {@code src/native-test/workloads/README.md} describes
 * the commands and replies of the programs; {@link LivingWorkload} communicates with them.
 */
enum Workload {
    JAVA_V1("Java v1", "java-v1", "java-v1/pom.xml", "aws-java-sdk-core</artifactId>\\s*<version>(.+?)<") {
        @Override
        List<String> command() {
            // The plugin pinned in this POM copies the packages; the java launcher compiles the program.
            Path home = installed(MAVEN, "--quiet", "--batch-mode", "--no-transfer-progress", "dependency:copy-dependencies",
                    "-DoutputDirectory=lib");
            return List.of(JAVA, "-cp", home.resolve("lib") + "/*", home.resolve("PodWorkload.java").toString());
        }

        @Override
        String shortened(String error) {
            return error.replaceAll("(?s)\\[EnvironmentVariable.*(EC2ContainerCredentialsProviderWrapper)@\\w+", "[… $1");
        }
    },

    JAVA_V2("Java v2", "java-v2", "../../../pom.xml", "<aws.sdk.version>(.+?)<") {
        @Override
        List<String> command() {
            // The agent's own SDK is on the class path of its tests.
            return List.of(JAVA, "-cp", classPath(), SOURCES.resolve("java-v2/PodWorkload.java").toString());
        }

        @Override
        String shortened(String error) {
            return error.replaceAll("(?s)AwsCredentialsProviderChain\\(.*, (ContainerCredentialsProvider\\(\\): )", "… : [… $1");
        }

        @Override
        Map<String, String> environmentForIpv6() {
            // Without this variable, the SDK rejects fd00:ec2::23 as an address.
            return Map.of("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv6");
        }
    },

    BOTO3("boto3", "boto3", "boto3/requirements.txt", "boto3==(\\S+)") {
        @Override
        List<String> command() {
            return List.of("python3", installed(PIP).resolve("pod_workload.py").toString());
        }
    },

    CLI("AWS CLI v1", "cli", "cli/requirements.txt", "awscli==(\\S+)") {
        @Override
        List<String> command() {
            return List.of("python3", installed(PIP).resolve("pod_workload.py").toString());
        }
    },

    JAVASCRIPT_V2("JavaScript v2", "javascript-v2", "javascript-v2/package.json", "\"aws-sdk\": \"(.+?)\"") {
        @Override
        List<String> command() {
            return List.of("node", installed(NPM).resolve("pod-workload.js").toString());
        }
    },

    JAVASCRIPT_V3("JavaScript v3", "javascript-v3", "javascript-v3/package.json", "\"@aws-sdk/client-sts\": \"(.+?)\"") {
        @Override
        List<String> command() {
            return List.of("node", installed(NPM).resolve("pod-workload.js").toString());
        }
    },

    GO_V1("Go v1", "go-v1", "go-v1/go.mod", "github.com/aws/aws-sdk-go v(\\S+)") {
        @Override
        List<String> command() {
            return List.of(installed(GO).resolve("pod-workload").toString());
        }
    },

    GO_V2("Go v2", "go-v2", "go-v2/go.mod", "github.com/aws/aws-sdk-go-v2 v(\\S+)") {
        @Override
        List<String> command() {
            return List.of(installed(GO).resolve("pod-workload").toString());
        }
    },

    RUST("Rust", "rust", "rust/Cargo.toml", "aws-config = .*?\"=(.+?)\"") {
        @Override
        List<String> command() {
            return List.of(installed("cargo", "build", "--quiet").resolve("target/debug/pod-workload").toString());
        }
    };

    private static final Path SOURCES = Path.of("src", "native-test", "workloads").toAbsolutePath();
    private static final Path INSTALLED = Path.of("target", "workloads").toAbsolutePath();
    private static final Duration PATIENCE = Duration.ofMinutes(5);

    private static final String JAVA = Path.of(System.getProperty("java.home"), "bin", "java").toString();
    private static final String MAVEN = System.getProperty("maven.home") == null
            ? "mvn"
            : Path.of(System.getProperty("maven.home"), "bin", "mvn").toString();
    private static final String[] PIP = {"python3", "-m", "pip", "install", "--quiet", "--retries", "1", "--timeout", "15",
        "--target", ".", "--upgrade", "--no-deps", "--only-binary", ":all:", "--require-hashes", "-r", "requirements.txt"};
    private static final String[] NPM = {"npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline",
        "--engine-strict", "--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=15000"};
    private static final String[] GO = {"go", "build", "-mod=readonly", "-o", "pod-workload", "."};

    private final String title;
    private final String folder;
    private final String pinned;
    private final Pattern version;

    /**
     * @param title the name of the SDK
     * @param pinned the file that pins its version
     * @param version finds the version in that file
     */
    Workload(String title, String folder, String pinned, String version) {
        this.title = title;
        this.folder = folder;
        this.pinned = pinned;
        this.version = Pattern.compile(version);
    }

    /** Returns the command that starts the program. Skips the test if the SDK or its toolchain is unavailable. */
    abstract List<String> command();

    /** Returns the environment that a pod needs, in addition to what EKS injects, to get credentials over IPv6. */
    Map<String, String> environmentForIpv6() {
        return Map.of();
    }

    /** Returns the SDK's text of an error, with … in place of the errors of other providers in its chain. */
    String shortened(String error) {
        return error;
    }

    /** Returns the workloads that the tests use: the most common SDKs whose programs can make a call. */
    static Stream<Workload> ofTheTests() {
        return Stream.of(JAVA_V2, BOTO3, JAVASCRIPT_V3, GO_V2);
    }

    String title() {
        return title;
    }

    /** Returns the pinned version of the SDK. */
    String version() {
        try {
            Matcher matcher = version.matcher(Files.readString(SOURCES.resolve(pinned)));
            if (!matcher.find()) {
                throw new IllegalStateException(pinned + " has no " + version);
            }
            return matcher.group(1);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Returns the class path of this class, whoever loaded it: Surefire, Failsafe or Maven itself. */
    static String classPath() {
        if (Workload.class.getClassLoader() instanceof URLClassLoader loader) {
            return Stream.of(loader.getURLs()).map(URL::getPath).collect(Collectors.joining(File.pathSeparator));
        }
        return System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));
    }

    /**
     * Returns the folder with the program and its packages, which are installed once, and again after the sources change.
     */
    Path installed(String... installer) {
        String problem;
        Path home = INSTALLED.resolve(folder);
        try {
            Files.createDirectories(home);
            StringBuilder sources = new StringBuilder();
            try (Stream<Path> files = Files.list(SOURCES.resolve(folder))) {
                for (Path source : files.sorted().toList()) {
                    Files.copy(source, home.resolve(source.getFileName()), StandardCopyOption.REPLACE_EXISTING);
                    sources.append(Files.readString(source));
                }
            }
            Path done = home.resolve("installed");
            if (Files.exists(done) && Files.readString(done).contentEquals(sources)) {
                return home;
            }
            Finished run = Finished.run(
                    new ProcessBuilder(installer).directory(home.toFile()), home.resolve("install.log"), PATIENCE);
            problem = run.exitCode() == 0 ? "" : run.output();
            if (problem.isEmpty()) {
                Files.writeString(done, sources);
            }
        } catch (IOException e) {
            problem = e.getMessage();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
        Assumptions.assumeTrue(problem.isEmpty(), title + " cannot be had here: " + problem);
        return home;
    }
}
