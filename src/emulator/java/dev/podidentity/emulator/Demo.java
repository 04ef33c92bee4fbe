package dev.podidentity.emulator;

import dev.podidentity.agent.Main;
import io.quarkus.runtime.annotations.QuarkusMain;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Arrays;
import java.util.Optional;
import java.util.stream.Stream;

/** Runs the agent with an emulated EKS Auth, so that you can try it without a cluster and an AWS account. */
@QuarkusMain(name = "demo")
public final class Demo {

    private static final String HOST = "127.0.0.1";
    private static final String PORT = System.getProperty("demo.port", "8080");
    private static final String PROBE_PORT = System.getProperty("demo.probe-port", "2703");
    private static final String METRICS_PORT = System.getProperty("demo.metrics-port", "2705");

    private Demo() {}

    /** @param args flags for the agent, which override the demo's own */
    public static void main(String... args) throws IOException {
        Path directory = Path.of(System.getProperty("demo.directory", "target/demo")).toAbsolutePath();
        Files.createDirectories(directory);
        // Not closed, because it ends with the process.
        EksAuthEmulator emulator = EksAuthEmulator.start(config());
        Path tokenFile = write(directory.resolve("demo-token"), emulator.tokens().mint("default", "demo", "demo-0"));
        useNodeCredentials(emulator, directory);
        System.out.println(welcome(emulator, tokenFile));
        Main.main(flags(emulator, args));
    }

    private static EmulatorConfig config() throws IOException {
        try (InputStream yaml = Demo.class.getResourceAsStream("/associations.yaml")) {
            EmulatorConfig config = EmulatorConfig.load(yaml);
            Optional<String> accessKeyId = environment("AWS_ACCESS_KEY_ID");
            Optional<String> secretAccessKey = environment("AWS_SECRET_ACCESS_KEY");
            if (accessKeyId.isEmpty() || secretAccessKey.isEmpty()) {
                return config;
            }
            // The agent reads the environment first. Credentials found there never leave this machine.
            return config.withNodeCredentials(
                    accessKeyId.get(), secretAccessKey.get(), environment("AWS_SESSION_TOKEN"));
        }
    }

    private static Optional<String> environment(String name) {
        return Optional.ofNullable(System.getenv(name)).map(String::strip).filter(value -> !value.isEmpty());
    }

    /** Makes the agent read its own credentials as on a node: from the shared files, if not from the environment. */
    private static void useNodeCredentials(EksAuthEmulator emulator, Path directory) throws IOException {
        EmulatorConfig madeUp = EmulatorConfig.defaults();
        Path file = write(directory.resolve("node-credentials"), """
                [default]
                aws_access_key_id = %s
                aws_secret_access_key = %s
                """.formatted(madeUp.nodeAccessKeyId(), madeUp.nodeSecretAccessKey()));
        System.setProperty("aws.sharedCredentialsFile", file.toString());
        // Ignores the user's own profile and config file.
        System.setProperty("aws.configFile", file.toString());
        System.setProperty("aws.profile", "default");
        System.setProperty("aws.region", emulator.region());
    }

    /** Creates the file so that only its owner can ever read it. */
    private static Path write(Path file, String content) throws IOException {
        Files.deleteIfExists(file);
        Files.createFile(file, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
        return Files.writeString(file, content);
    }

    private static String[] flags(EksAuthEmulator emulator, String... args) {
        Stream<String> own = Stream.of(
                "server",
                "--cluster-name", emulator.clusterName(),
                "--bind-hosts", HOST,
                "--port", PORT,
                "--probe-port", PROBE_PORT,
                "--metrics-address", HOST,
                "--metrics-port", METRICS_PORT,
                "--endpoint", emulator.endpoint().toString(),
                "--allowed-hosts", HOST,
                "--log-format", "text");
        return Stream.concat(own, Arrays.stream(args)).toArray(String[]::new);
    }

    private static String welcome(EksAuthEmulator emulator, Path tokenFile) {
        String credentials = "http://" + HOST + ":" + PORT + "/v1/credentials";
        String fault = emulator.endpoint() + "/emulator/fault";
        return """

                The EKS Pod Identity agent is starting, with an emulated EKS Auth behind it.

                Any AWS SDK or the AWS CLI gets credentials from it with
                  export AWS_CONTAINER_CREDENTIALS_FULL_URI=%1$s
                  export AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=%2$s

                Or request them yourself:
                  curl -H "Authorization: $(cat %2$s)" %1$s

                Metrics are at http://%3$s:%4$s/metrics

                Make EKS Auth fail, and see that the agent still serves credentials:
                  curl -X PUT -d '{"type":"error","name":"ThrottlingException"}' %5$s
                  curl -X DELETE %5$s

                Ctrl-C stops it.
                """.formatted(credentials, tokenFile, HOST, METRICS_PORT, fault);
    }
}
