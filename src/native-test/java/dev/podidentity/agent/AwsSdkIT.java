package dev.podidentity.agent;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.emulator.EksAuthEmulator;
import dev.podidentity.emulator.EksAuthError;
import dev.podidentity.emulator.Fault;
import io.vertx.core.Vertx;
import io.vertx.core.http.HttpServer;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The AWS SDK for Java as a pod has it: two variables in its environment and a token file. */
class AwsSdkIT {

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
                    request.response().setStatusCode(400).putHeader("x-amzn-ErrorType", "InvalidTokenException").end("{}");
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

    @Test
    void getsCredentialsAndSignsACallWithThem() throws Exception {
        // When
        String output = runPod("pod-sdk");

        // Then
        assertThat(output).contains("called");
        String accessKeyId = output.lines().filter(line -> line.startsWith("access key id: ")).findFirst().orElseThrow()
                .substring("access key id: ".length());
        assertThat(authorizations).singleElement().asString()
                .startsWith("AWS4-HMAC-SHA256 Credential=" + accessKeyId + "/");
        assertThat(sessionTokens).singleElement().asString().startsWith("emulated-session-");
        assertThat(emulator.calls()).isOne();
    }

    @Test
    void getsThemAlthoughEksAuthThrottlesForASecond() throws Exception {
        // Given
        emulator.inject(new Fault.ErrorAnswer(EksAuthError.THROTTLING));
        emulator.whenCalls(1).thenRunAsync(
                emulator::heal, CompletableFuture.delayedExecutor(1, TimeUnit.SECONDS));

        // When
        String output = runPod("pod-throttled");

        // Then
        assertThat(output).contains("called");
        assertThat(emulator.calls()).as("tries for one pod").isBetween(2, 6);
    }

    private String runPod(String pod) throws IOException, InterruptedException {
        Path token = Files.writeString(directory.resolve("eks-pod-identity-token"), Emulators.token(emulator, pod));
        ProcessBuilder builder = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-cp", System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")),
                        PodWorkload.class.getName(),
                        "http://" + AgentProcess.LOOPBACK + ":" + service.actualPort())
                .redirectErrorStream(true);
        builder.environment().clear();
        builder.environment().putAll(Map.of(
                "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                "http://" + AgentProcess.LOOPBACK + ":" + agent.port() + "/v1/credentials",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token.toString()));
        Process process = builder.start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor()).as(output).isZero();
        return output;
    }
}
