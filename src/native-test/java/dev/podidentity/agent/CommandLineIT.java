package dev.podidentity.agent;

import static dev.podidentity.agent.RawHttp.request;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.podidentity.emulator.EksAuthEmulator;
import dev.podidentity.emulator.Gate;
import java.io.IOException;
import java.net.ConnectException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** The agent's startup and shutdown. */
class CommandLineIT {

    @Test
    void helpAndVersionAnswerWithoutAnythingElse() {
        try (AgentProcess help = AgentProcess.run(Map.of(), "server", "--help");
                AgentProcess version = AgentProcess.run(Map.of(), "version")) {
            assertThat(help.awaitExit()).isZero();
            assertThat(String.join("\n", help.output())).contains("--cluster-name", "--request-deadline", "Default: 900ms");
            assertThat(version.awaitExit()).isZero();
            assertThat(version.output()).singleElement().asString().matches("eks-pod-identity-agent \\d+\\.\\d+\\.\\d+.*");
        }
    }

    @Test
    void helpSaysWhatSharingByRoleCosts() {
        try (AgentProcess help = AgentProcess.run(Map.of(), "server", "--help")) {
            assertThat(help.awaitExit()).isZero();
            assertThat(String.join(" ", help.output()).replaceAll("\\s+", " ")).contains(
                    "The default is role if tokens are verified, and token otherwise",
                    "With role, session tags and CloudTrail name the pod that asked first: choose pod if your policies use"
                            + " the tags for the pod's name or UID");
        }
    }

    @Test
    void initializeNeedsTheNativeExecutable() {
        assumeTrue(System.getProperty("agent.executable") == null, "this is the native executable");
        try (AgentProcess agent = AgentProcess.run(Map.of(), "initialize")) {
            assertThat(agent.awaitExit()).isOne();
            assertThat(agent.output()).singleElement().asString().startsWith("Error: ").contains("native executable");
        }
    }

    @ParameterizedTest
    @MethodSource("unusable")
    void whatCannotBeUsedIsOneLineAndExitCode2(List<String> arguments, Map<String, String> environment, List<String> says) {
        try (AgentProcess agent = AgentProcess.run(environment, arguments.toArray(String[]::new))) {
            assertThat(agent.awaitExit()).isEqualTo(2);
            assertThat(agent.output()).singleElement().asString().startsWith("Error: ").contains(says);
        }
    }

    static Stream<Arguments> unusable() {
        return Stream.of(
                unusable(List.of("server"), "--cluster-name"),
                unusable(List.of("server", "-c", ""), "--cluster-name", "\"\""),
                unusable(List.of("server", "-c", "a/b"), "--cluster-name", "a/b"),
                unusable(List.of("server", "-c", "x", "--port", "99999"), "--port", "99999", "0 to 65535"),
                unusable(List.of("server", "-c", "x", "--metrics-port", "abc"), "--metrics-port", "abc"),
                unusable(List.of("server", "-c", "x", "--max-cache-size", "-1"), "--max-cache-size", "-1"),
                unusable(List.of("server", "-c", "x", "--max-credential-retention-before-renewal", "3 hours"),
                        "--max-credential-retention-before-renewal", "3 hours", "1h30m"),
                unusable(List.of("server", "-c", "x", "--verbosity", "loud"), "--verbosity", "loud", "trace"),
                unusable(List.of("server", "-c", "x", "--bind-hosts", "1.2.3.4:80"), "--bind-hosts", "1.2.3.4:80"),
                unusable(List.of("server", "-c", "x", "--endpoint", "eks-auth"), "--endpoint", "eks-auth", "http"),
                unusable(List.of("server", "-c", "x", "--rotate-credentials", "maybe"), "--rotate-credentials", "maybe"),
                unusable(List.of("server", "-c", "x", "--no-such-flag"), "--no-such-flag"),
                unusable(List.of("server", "-c", "x", "--audience", "other"), "--audience", "--endpoint"),
                unusable(List.of("server", "-c", "x", "--probe-port", "2705"), "--probe-port", "--metrics-port"),
                unusable(List.of("server", "-c", "x", "--token-verification", "yes"),
                        "--token-verification", "none, jwks or token-review", "yes"),
                unusable(List.of("server", "-c", "x", "--coalesce", "all"), "--coalesce", "token, pod or role", "all"),
                unusable(List.of("server", "-c", "x", "--coalesce", "role"), "--coalesce", "--token-verification", "\"role\""),
                unusable(List.of("server", "-c", "x", "--coalesce", "pod"), "--coalesce", "--token-verification", "\"pod\""),
                unusable(List.of("server", "-c", "x", "--events"), "--events", "--token-verification"),
                unusable(List.of("server", "-c", "x", "--pod-watch"), "--pod-watch", "NODE_NAME", "spec.nodeName"),
                unusable(List.of("server", "-c", "x", "--keys-file", "/"), "--keys-file", "path of a file"),
                unusable(List.of("server", "-c", "x", "--startup-taint", "example.com/not-ready"),
                        "--startup-taint", "NODE_NAME", "spec.nodeName"),
                unusable(List.of("server", "-c", "x", "--startup-taint", "not ready"), "--startup-taint", "not ready"),
                unusable(List.of("server", "-c", "x", "--issuer", "cluster"), "--issuer", "cluster", "http"),
                unusable(List.of("server", "-c", "x", "--api-server", "10.100.0.1"), "--api-server", "10.100.0.1", "http"),
                Arguments.of(List.of("server", "-c", "x", "--token-verification", "jwks"), Map.of("NODE_NAME", "node-1"),
                        List.of("KUBERNETES_SERVICE_HOST", "--api-server")),
                Arguments.of(List.of("server", "-c", "x", "--pod-watch"), Map.of("NODE_NAME", " "), List.of("NODE_NAME")),
                unusable(List.of("serve"), "serve"),
                unusable(List.of(), "no command"),
                Arguments.of(List.of("server", "-c", "x"), Map.of("AGENT_PORT", "many"), List.of("--port", "many")),
                Arguments.of(List.of("server", "-c", "x"), Map.of("AWS_CA_BUNDLE", "/nowhere.pem"),
                        List.of("AWS_CA_BUNDLE", "/nowhere.pem")),
                Arguments.of(List.of("server", "-c", "x", "--endpoint", "https://eks-auth.example"),
                        Map.of("AWS_USE_FIPS_ENDPOINT", "true"), List.of("--endpoint", "AWS_USE_FIPS_ENDPOINT")),
                Arguments.of(List.of("server", "-c", "x"), Map.of("HTTPS_PROXY", "ftp://user:pass@proxy"),
                        List.of("HTTPS_PROXY")));
    }

    private static Arguments unusable(List<String> arguments, String... says) {
        return Arguments.of(arguments, Map.of(), List.of(says));
    }

    @Test
    void takesEachFlagFromTheEnvironmentToo() throws IOException {
        try (EksAuthEmulator emulator = Emulators.start()) {
            // Given
            Map<String, String> environment = new HashMap<>(AgentProcess.environment(emulator));
            environment.putAll(Map.of(
                    "AGENT_CLUSTER_NAME", emulator.clusterName(), "AGENT_ENDPOINT", emulator.endpoint().toString(),
                    "AGENT_BIND_HOSTS", AgentProcess.LOOPBACK, "AGENT_PORT", "0", "AGENT_PROBE_PORT", "0",
                    "AGENT_METRICS_ADDRESS", AgentProcess.LOOPBACK, "AGENT_METRICS_PORT", "0",
                    "AGENT_ALLOWED_HOSTS", "agent.internal,other.internal", "AGENT_VERBOSITY", "trace",
                    "AGENT_MAX_CREDENTIAL_RETENTION_BEFORE_RENEWAL", "1h30m"));

            // When
            try (AgentProcess agent = AgentProcess.run(environment, "server")) {
                agent.awaitLine(line -> line.contains("\"msg\":\"Started\""));
                agent.awaitLine(line -> line.contains("Ready to call EKS Auth"));

                // Then
                RawHttp.Answer answer = RawHttp.exchange(agent.port(), request("GET", "/v1/credentials",
                        "Host: other.internal", "Authorization: " + Emulators.token(emulator, "pod-1")));
                assertThat(answer.status()).isEqualTo(200);
            }
        }
    }

    /** Only for the native executable: on a JVM the maximum heap depends on the machine's memory. */
    @Test
    @EnabledIfSystemProperty(named = "agent.executable", matches = ".+")
    void whoFollowsTheAdviceAboutTheHeapIsNotGivenItAgain() {
        try (EksAuthEmulator emulator = Emulators.start();
                AgentProcess advised = AgentProcess.start(emulator, "--max-cache-size", "4000")) {
            assertThat(advised.output()).anyMatch(line -> line.contains("may be too small") && line.contains("-Xmx63m"));
        }
        try (EksAuthEmulator emulator = Emulators.start();
                AgentProcess following = AgentProcess.start(emulator, "--max-cache-size", "4000", "-Xmx63m")) {
            assertThat(following.output()).noneMatch(line -> line.contains("may be too small"));
        }
    }

    @Test
    void aStopFinishesWhatIsInFlightAndExitsWith0() throws IOException {
        try (EksAuthEmulator emulator = Emulators.start();
                AgentProcess agent = AgentProcess.start(emulator, "--request-deadline", "20s", "--shutdown-timeout", "20s");
                RawHttp idle = new RawHttp(agent.port());
                RawHttp waiting = new RawHttp(agent.port())) {
            // Given
            Gate gate = emulator.hold();
            waiting.send(request(Emulators.token(emulator, "pod-last")));
            emulator.whenCalls(1).orTimeout(30, TimeUnit.SECONDS).join();
            idle.send(request("GET", "/nothing", "Host: 169.254.170.23")).answer();

            // When
            agent.terminate();
            agent.awaitLine(line -> line.contains("\"msg\":\"No longer accepting connections\""));

            // Then
            assertThat(accepts(agent.port())).isFalse();
            gate.release();
            RawHttp.Answer answer = waiting.answer();
            assertThat(answer.status()).isEqualTo(200);
            assertThat(answer.header("connection")).contains("close");
            assertThat(agent.awaitExit()).isZero();
        }
    }

    @Test
    void aStopWaitsNoLongerThanItIsTold() throws IOException {
        try (EksAuthEmulator emulator = Emulators.start();
                AgentProcess agent = AgentProcess.start(emulator, "--request-deadline", "60s", "--shutdown-timeout", "100ms");
                RawHttp waiting = new RawHttp(agent.port())) {
            // Given
            emulator.hold();
            waiting.send(request(Emulators.token(emulator, "pod-last")));
            emulator.whenCalls(1).orTimeout(30, TimeUnit.SECONDS).join();

            // When
            agent.terminate();

            // Then
            assertThat(agent.awaitExit()).isZero();
            assertThat(agent.output()).anyMatch(line -> line.contains("did not finish in time"));
        }
    }

    private static boolean accepts(int port) throws IOException {
        try (RawHttp http = new RawHttp(port)) {
            return true;
        } catch (ConnectException e) {
            return false;
        }
    }
}
