package dev.podidentity.agent;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.emulator.EksAuthEmulator;
import dev.podidentity.emulator.EksAuthError;
import dev.podidentity.emulator.Fault;
import io.vertx.core.Vertx;
import io.vertx.core.http.HttpServer;
import io.vertx.core.json.JsonObject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The AWS SDKs as a pod has them: two variables in the environment and a token file. */
class AwsSdkIT {

    /** As STS says it; EKS Auth says it in a header. */
    private static final String REFUSAL = """
            <ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>
            """;

    private static EksAuthEmulator emulator;
    private static AgentProcess agent;
    private static Vertx vertx;
    private static HttpServer service;
    private static final List<String> authorizations = new CopyOnWriteArrayList<>();
    private static final List<String> sessionTokens = new CopyOnWriteArrayList<>();

    @TempDir
    private Path directory;

    @BeforeAll
    static void start() {
        emulator = Emulators.start();
        agent = AgentProcess.start(emulator, "--allowed-hosts", AgentProcess.LOOPBACK);
        vertx = Vertx.vertx();
        service = vertx.createHttpServer()
                .requestHandler(request -> {
                    authorizations.add(request.getHeader("Authorization"));
                    sessionTokens.add(request.getHeader("X-Amz-Security-Token"));
                    request.response().setStatusCode(403).putHeader("x-amzn-ErrorType", "AccessDenied").end(REFUSAL);
                })
                .listen(0, AgentProcess.LOOPBACK)
                .toCompletionStage().toCompletableFuture().join();
    }

    @AfterAll
    static void stop() {
        vertx.close().toCompletionStage().toCompletableFuture().join();
        agent.close();
        emulator.close();
    }

    @AfterEach
    void heal() {
        emulator.heal();
        emulator.resetCounts();
        authorizations.clear();
        sessionTokens.clear();
    }

    @ParameterizedTest
    @EnumSource
    void getsCredentialsAndSignsACallWithThem(Workload workload) throws Exception {
        // Given
        List<String> program = workload.command();
        String token = Emulators.token(emulator, "pod-" + workload);

        // When
        String output = run(program, token);

        // Then
        assertThat(output).contains("called");
        assertThat(authorizations).singleElement().asString()
                .startsWith("AWS4-HMAC-SHA256 Credential=" + printed(output, "access key id: ") + "/");
        assertThat(sessionTokens).singleElement().asString().startsWith("emulated-session-");
        assertThat(emulator.calls()).isOne();
    }

    // Java's SDK keeps it to itself.
    @ParameterizedTest
    @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "JAVA")
    void seesWhenTheCredentialsExpire(Workload workload) throws Exception {
        // Given
        List<String> program = workload.command();
        String token = Emulators.token(emulator, "pod-expiry-" + workload);

        // When
        String output = run(program, token);

        // Then
        JsonObject answer = new JsonObject(RawHttp.exchange(agent.port(), RawHttp.request(token)).body());
        assertThat(printed(output, "access key id: ")).isEqualTo(answer.getString("AccessKeyId"));
        assertThat(OffsetDateTime.parse(printed(output, "expiration: ")).toInstant())
                .isEqualTo(Instant.parse(answer.getString("Expiration")));
    }

    @ParameterizedTest
    @EnumSource
    void getsThemAlthoughEksAuthThrottlesForASecond(Workload workload) throws Exception {
        // Given
        List<String> program = workload.command();
        emulator.inject(new Fault.ErrorAnswer(EksAuthError.THROTTLING));
        emulator.whenCalls(1).thenRunAsync(
                emulator::heal, CompletableFuture.delayedExecutor(1, TimeUnit.SECONDS));

        // When
        String output = run(program, Emulators.token(emulator, "pod-throttled-" + workload));

        // Then
        assertThat(output).contains("called");
        assertThat(emulator.calls()).as("tries for one pod").isBetween(2, 6);
    }

    private static String printed(String output, String label) {
        return output.lines().filter(line -> line.startsWith(label)).findFirst().orElseThrow().substring(label.length());
    }

    /** With the two variables that EKS injects, and what any container has. */
    private String run(List<String> program, String token) throws IOException, InterruptedException {
        Path file = Files.writeString(directory.resolve("eks-pod-identity-token"), token);
        List<String> command = new ArrayList<>(program);
        command.add("http://" + AgentProcess.LOOPBACK + ":" + service.actualPort());
        ProcessBuilder builder = new ProcessBuilder(command);
        builder.environment().keySet().retainAll(Set.of("PATH"));
        builder.environment().putAll(Map.of(
                "HOME", directory.toString(),
                "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                "http://" + AgentProcess.LOOPBACK + ":" + agent.port() + "/v1/credentials",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file.toString()));
        Finished pod = Finished.run(builder, directory.resolve("output"), Duration.ofMinutes(1));
        assertThat(pod.exitCode()).as(pod.output()).isZero();
        return pod.output();
    }
}
