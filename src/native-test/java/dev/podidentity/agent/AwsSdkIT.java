package dev.podidentity.agent;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.LivingWorkload.Reply;
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
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The AWS SDKs as in a pod, with two environment variables and a token file. */
class AwsSdkIT {

    /** The error as STS sends it; EKS Auth sends the error type in a header. */
    private static final String REFUSAL = """
            <ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>
            """;

    /** Go's SDK considers credentials expired when they are due for renewal. */
    private static final Duration GO_EARLY = Duration.ofMinutes(5);

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
    @MethodSource("dev.podidentity.agent.Workload#ofTheTests")
    void getsCredentialsAndSignsACallWithThem(Workload workload) throws IOException {
        try (LivingWorkload pod = start(workload, "pod-" + workload)) {
            // When
            Reply credentials = pod.ask("fresh");
            Reply call = pod.ask("call http://" + AgentProcess.LOOPBACK + ":" + service.actualPort());

            // Then
            assertThat(credentials.error()).isNull();
            assertThat(call.error()).isNull();
            assertThat(authorizations).singleElement().asString()
                    .startsWith("AWS4-HMAC-SHA256 Credential=" + credentials.accessKeyId() + "/");
            assertThat(sessionTokens).singleElement().asString().startsWith("emulated-session-");
            assertThat(emulator.calls()).isOne();
        }
    }

    @ParameterizedTest
    @MethodSource
    void seesWhenTheCredentialsExpire(Workload workload) throws IOException {
        try (LivingWorkload pod = start(workload, "pod-expiry-" + workload)) {
            // When
            Reply credentials = pod.ask("fresh");

            // Then
            JsonObject answer = new JsonObject(RawHttp.exchange(agent.port(), RawHttp.request(token())).body());
            assertThat(credentials.accessKeyId()).isEqualTo(answer.getString("AccessKeyId"));
            Duration early = workload == Workload.GO_V2 ? GO_EARLY : Duration.ZERO;
            assertThat(OffsetDateTime.parse(credentials.expiration()).toInstant())
                    .isEqualTo(Instant.parse(answer.getString("Expiration")).minus(early));
        }
    }

    static Stream<Workload> seesWhenTheCredentialsExpire() {
        // Java's SDK does not report it.
        return Workload.ofTheTests().filter(workload -> workload != Workload.JAVA_V2);
    }

    @ParameterizedTest
    @MethodSource("dev.podidentity.agent.Workload#ofTheTests")
    void getsThemAlthoughEksAuthThrottlesForASecond(Workload workload) throws IOException {
        try (LivingWorkload pod = start(workload, "pod-throttled-" + workload)) {
            // Given
            emulator.inject(new Fault.ErrorAnswer(EksAuthError.THROTTLING));
            emulator.whenCalls(1).thenRunAsync(
                    emulator::heal, CompletableFuture.delayedExecutor(1, TimeUnit.SECONDS));

            // When
            Reply credentials = pod.ask("fresh");

            // Then
            assertThat(credentials.error()).isNull();
            assertThat(emulator.calls()).as("tries for one pod").isBetween(2, 6);
        }
    }

    /** Sets what EKS injects, and what every container has. */
    private LivingWorkload start(Workload workload, String pod) throws IOException {
        List<String> command = workload.command();
        Path file = Files.writeString(tokenFile(), Emulators.token(emulator, pod));
        return LivingWorkload.start(
                command,
                LivingWorkload.environment(AgentProcess.LOOPBACK + ":" + agent.port(), file, directory),
                directory.resolve("errors"));
    }

    private Path tokenFile() {
        return directory.resolve("eks-pod-identity-token");
    }

    private String token() throws IOException {
        return Files.readString(tokenFile());
    }
}
