package dev.podidentity.agent;

import static dev.podidentity.agent.RawHttp.exchange;
import static dev.podidentity.agent.RawHttp.request;
import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.emulator.EksAuthEmulator;
import dev.podidentity.emulator.EksAuthError;
import dev.podidentity.emulator.Fault;
import io.vertx.core.json.JsonObject;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** What a pod sees of each kind of failure of EKS Auth. */
class EksAuthTroubleIT {

    private static EksAuthEmulator emulator;
    private static AgentProcess agent;
    private static int pods;

    @BeforeAll
    static void start() throws IOException {
        emulator = Emulators.start();
        agent = AgentProcess.start(emulator, "--attempt-timeout", "2s", "--flight-timeout", "6s");
        // Not under test: the first call on a cold JVM is slow.
        RawHttp.askAsSdk(agent.port(), newToken());
    }

    @AfterAll
    static void stop() {
        agent.close();
        emulator.close();
    }

    @AfterEach
    void heal() {
        emulator.heal();
        emulator.resetCounts();
    }

    private static String newToken() {
        return Emulators.token(emulator, "pod-" + pods++);
    }

    private static RawHttp.Answer ask(String token) throws IOException {
        return exchange(agent.port(), request(token));
    }

    @ParameterizedTest
    @CsvSource({
        "ACCESS_DENIED, 403, AccessDeniedException, trust policy",
        "INVALID_PARAMETER, 400, InvalidParameterException, --cluster-name",
        "INVALID_REQUEST, 400, InvalidRequestException, role",
        "INVALID_TOKEN, 400, InvalidTokenException, token",
        "EXPIRED_TOKEN, 400, ExpiredTokenException, re-read",
        "RESOURCE_NOT_FOUND, 403, ResourceNotFoundException, create-pod-identity-association"
    })
    void aRefusalIsAnsweredAtOnceAndRememberedForAMoment(EksAuthError error, int status, String code, String says)
            throws IOException {
        // Given
        emulator.inject(new Fault.ErrorAnswer(error));
        String token = newToken();

        // When
        List<RawHttp.Answer> answers = List.of(ask(token), ask(token), ask(token), ask(token), ask(token), ask(token));

        // Then
        assertThat(answers).allSatisfy(answer -> assertError(answer, status, code, says));
        assertThat(answers).allSatisfy(answer -> {
            assertThat(answer.header("retry-after")).isEmpty();
            assertThat(new JsonObject(answer.body()).getString("message"))
                    .containsPattern("EKS Auth said: \"Emulated " + error.type() + "\"\\. Request ID: [0-9a-f-]{36}\\.")
                    .endsWith(" Service account (as the token claims): default/demo");
        });
        assertThat(emulator.calls(token)).as("calls for six requests at once").isOne();
        agent.awaitLine(line -> line.contains("No credentials from EKS Auth")
                && line.contains("EKS Auth said: \\\"Emulated " + error.type() + "\\\". Request ID: "));
    }

    @ParameterizedTest
    @CsvSource({
        "THROTTLING, ThrottlingException",
        "INTERNAL_SERVER, InternalServerException",
        "SERVICE_UNAVAILABLE, ServiceUnavailableException"
    })
    void transientTroubleIsTriedAgainWhileThePodWaits(EksAuthError error) throws IOException {
        // Given
        emulator.inject(new Fault.ErrorAnswer(error), 1);
        String token = newToken();

        // When
        RawHttp.Answer answer = ask(token);

        // Then
        assertThat(answer.status()).isEqualTo(200);
        assertThat(emulator.calls(token)).isEqualTo(2);
    }

    @ParameterizedTest
    @MethodSource("lastingTroubles")
    void lastingTroubleIsA503ThatSdksRepeat(String what, Fault fault, String code) throws IOException {
        // Given
        emulator.inject(fault);
        String token = newToken();

        for (int attempt = 0; attempt < 3; attempt++) {
            // When
            Instant began = Instant.now();
            RawHttp.Answer answer = ask(token);

            // Then: not answered from memory, so that an SDK's retries last longer
            assertThat(Duration.between(began, Instant.now())).as(what).isGreaterThan(Duration.ofMillis(850));
            assertThat(answer.status()).as(what).isEqualTo(503);
            assertThat(answer.header("content-type")).contains("application/json");
            assertThat(answer.header("retry-after")).contains("1");
            assertThat(new JsonObject(answer.body()).getString("code"))
                    .isIn(code, "ServiceUnavailableException");
        }
        assertThat(emulator.calls(token)).as("calls in three seconds").isBetween(2, 24);

        // When
        emulator.heal();

        // Then: at the next call
        agent.awaitLine(line -> line.contains("No credentials from EKS Auth"));
        assertThat(ask(token).status()).isEqualTo(200);
    }

    @ParameterizedTest
    @CsvSource({"'', 6", "User-Agent: Go-http-client/1.1, 3", "User-Agent: python-urllib3/2.8.0, 3", "accept: application/json, 3"})
    void anSdksTriesAreEnoughThoughEksAuthIsAwayForFiveSeconds(String header, int tries) throws IOException {
        // Given
        String token = newToken();
        String request = header.isEmpty()
                ? request(token)
                : request("GET", "/v1/credentials", "Host: 169.254.170.23", "Authorization: " + token, header);
        emulator.inject(new Fault.Reset());
        emulator.whenCalls(1).thenRunAsync(emulator::heal, CompletableFuture.delayedExecutor(5, TimeUnit.SECONDS));

        // When: without a pause between them
        int status = 503;
        for (int i = 0; i < tries && status == 503; i++) {
            status = exchange(agent.port(), request).status();
        }

        // Then
        assertThat(status).isEqualTo(200);
    }

    @Test
    void anSdkThatWaitsLongerMayWaitLonger() throws IOException {
        // Given
        emulator.inject(new Fault.Hang(), 1);

        // When
        RawHttp.Answer answer = exchange(agent.port(), request(
                "GET", "/v1/credentials", "Host: 169.254.170.23", "Authorization: " + newToken(),
                "User-Agent: aws-sdk-go/1.55.8"));

        // Then
        assertError(answer, 503, "ServiceUnavailableException", "1900 ms");
    }

    private static int askUntilServed(String token) throws IOException {
        return askUntilServed(agent, token);
    }

    private static int askUntilServed(AgentProcess of, String token) throws IOException {
        int status = 503;
        for (int attempt = 0; attempt < 2000 && status == 503; attempt++) {
            status = exchange(of.port(), request(token)).status();
        }
        return status;
    }

    static Stream<Arguments> lastingTroubles() {
        return Stream.of(
                Arguments.of("throttled", new Fault.ErrorAnswer(EksAuthError.THROTTLING), "ThrottlingException"),
                Arguments.of("internal error", new Fault.ErrorAnswer(EksAuthError.INTERNAL_SERVER), "InternalServerException"),
                Arguments.of("unavailable", new Fault.ErrorAnswer(EksAuthError.SERVICE_UNAVAILABLE), "ServiceUnavailableException"),
                Arguments.of("unknown 5xx", new Fault.ErrorAnswer(502, "WhateverException", "?"), "ServiceUnavailableException"),
                Arguments.of("agent's keys refused", new Fault.ErrorAnswer(403, "UnrecognizedClientException", "?"), "ServiceUnavailableException"),
                Arguments.of("agent's session expired", new Fault.ErrorAnswer(403, "ExpiredTokenException", "?"), "ServiceUnavailableException"),
                Arguments.of("not JSON", new Fault.NotJson(), "InternalServerException"),
                Arguments.of("empty body", new Fault.EmptyBody(), "InternalServerException"),
                Arguments.of("redirect", new Fault.Redirect(), "InternalServerException"),
                Arguments.of("truncated", new Fault.Truncated(), "ServiceUnavailableException"),
                Arguments.of("reset", new Fault.Reset(), "ServiceUnavailableException"),
                Arguments.of("already expired", new Fault.ShortExpiry(Duration.ofMinutes(-1)), "InternalServerException"));
    }

    @ParameterizedTest
    @MethodSource("badAnswers")
    void anAnswerThatIsNotOfItsShapeIsNeverHandedOut(Fault badAnswer) throws IOException {
        // Given
        emulator.inject(badAnswer, 1);
        String token = newToken();

        // When
        RawHttp.Answer answer = ask(token);

        // Then
        assertThat(answer.status()).isEqualTo(200);
        assertThat(emulator.calls(token)).as("the bad answer and the good one").isEqualTo(2);
    }

    static Stream<Fault> badAnswers() {
        return Fault.ANSWER_FIELDS.stream()
                .flatMap(field -> Stream.of(new Fault.MissingField(field), new Fault.WrongType(field)));
    }

    @Test
    void anEksAuthThatHangsIsAnsweredForWithinTheDeadline() throws IOException {
        // Given
        emulator.inject(new Fault.Hang(), 1);
        String token = newToken();

        // When
        RawHttp.Answer first = ask(token);

        // Then
        assertError(first, 503, "ServiceUnavailableException", "900 ms");
        assertThat(askUntilServed(token)).as("once the hanging call has been given up").isEqualTo(200);
        assertThat(emulator.calls(token)).isEqualTo(2);
    }

    @Test
    void aServiceAccountWithoutAssociationIsToldSoAndServedOnceItHasOne() throws IOException {
        // Given
        String token = emulator.tokens().mint("default", "unknown", "pod-x");

        // When
        RawHttp.Answer refused = ask(token);
        emulator.associate("default", "unknown", "arn:aws:iam::123456789012:role/late");

        // Then
        assertError(refused, 403, "ResourceNotFoundException", "aws eks create-pod-identity-association");
        Instant began = Instant.now();
        int status = 403;
        while (status == 403 && Duration.between(began, Instant.now()).toMillis() < 1200) {
            status = ask(token).status();
        }
        assertThat(status).as("within 1.2 s").isEqualTo(200);
    }

    @Test
    void aForgedTokenGetsNothing() throws IOException {
        // Given
        String good = newToken();
        String forged = good.substring(0, good.lastIndexOf('.')) + ".c2lnbmF0dXJl";
        assertThat(ask(good).status()).isEqualTo(200);

        // When
        RawHttp.Answer answer = ask(forged);

        // Then
        assertError(answer, 400, "InvalidTokenException", "EKS Auth does not accept the token");
    }

    @ParameterizedTest
    @CsvSource({
        "AccessDeniedException, agent_permission, eks-auth:AssumeRoleForPodIdentity",
        "ExpiredTokenException, agent_credentials, check the node's role or keys",
        "UnrecognizedClientException, agent_credentials, check the node's role or keys"
    })
    void aRefusalOfTheNodeIsTheAgentsOwnTroubleAndNotThePods(String name, String reason, String remedy) throws IOException {
        try (AgentProcess refused = AgentProcess.start(emulator, "--flight-timeout", "1s", "--attempt-timeout", "500ms",
                // Due for renewal at once.
                "--max-credential-retention-before-renewal", "1ms")) {
            // Given
            String served = newToken();
            assertThat(RawHttp.askAsSdk(refused.port(), served).status()).isEqualTo(200);
            assertThat(refused.metric("pod_identity_agent_credentials")).isEqualTo(1);

            // When
            emulator.inject(new Fault.ErrorAnswer(403, name, "User is not authorized"));

            // Then: a pod without credentials is told to try again
            RawHttp.Answer other = exchange(refused.port(), request(newToken()));
            assertError(other, 503, "ServiceUnavailableException", remedy);
            assertThat(refused.metric("pod_identity_upstream_failures_total{reason=\"" + reason + "\",}")).isPositive();
            assertThat(refused.metric("pod_identity_agent_credentials")).isZero();
            assertThat(exchange(refused.port("probes"), request("GET", "/readyz", "Host: x")).status()).isEqualTo(200);
            refused.awaitLine(line -> line.contains("EKS Auth rejects the calls of the agent itself") && line.contains(remedy));

            // Then: a pod with cached credentials keeps them, although they cannot be renewed
            assertThat(exchange(refused.port(), request(served)).status()).isEqualTo(200);
            refused.awaitLine(line -> line.contains("No credentials from EKS Auth") && line.contains("renewal"));
            assertThat(exchange(refused.port(), request(served)).status()).isEqualTo(200);

            // When
            emulator.heal();

            // Then
            assertThat(askUntilServed(refused, newToken())).isEqualTo(200);
            assertThat(refused.metric("pod_identity_agent_credentials")).isEqualTo(1);
        }
    }

    @Test
    void anEndpointThatNobodyAnswersAtIsNamedWithWhatToDo() throws IOException {
        // Given
        try (AgentProcess alone = AgentProcess.start(
                emulator, "--endpoint", "http://eks-auth.nowhere.invalid", "--flight-timeout", "2s", "--attempt-timeout", "1s")) {

            // When
            RawHttp.Answer answer = exchange(alone.port(), request(newToken()));

            // Then
            assertThat(answer.status()).isEqualTo(503);
            alone.awaitLine(line -> line.contains("No credentials from EKS Auth")
                    && line.contains("eks-auth.nowhere.invalid"));
        }
    }

    @Test
    void anAgentWithoutCredentialsOfItsOwnSaysSo() throws IOException {
        // Given
        Map<String, String> none = Map.of("AWS_ACCESS_KEY_ID", "", "AWS_SECRET_ACCESS_KEY", "");
        try (AgentProcess poor = AgentProcess.launch(
                emulator, none, "--flight-timeout", "1s", "--attempt-timeout", "500ms", "--startup-grace", "0")) {

            // When
            RawHttp.Answer answer = exchange(poor.port(), request(newToken()));

            // Then
            assertError(answer, 503, "ServiceUnavailableException", "its own credentials");
            assertThat(exchange(poor.port("probes"), request("GET", "/readyz", "Host: x")).status()).isEqualTo(503);
            assertThat(exchange(poor.port("probes"), request("GET", "/healthz", "Host: x")).status()).isEqualTo(200);
            poor.awaitLine(line -> line.contains("own AWS credentials cannot be found"));
        }
    }

    private static void assertError(RawHttp.Answer answer, int status, String code, String says) {
        assertThat(answer.status()).isEqualTo(status);
        assertThat(answer.header("content-type")).contains("application/json");
        JsonObject body = new JsonObject(answer.body());
        assertThat(body.getString("code")).isEqualTo(code).isEqualTo(body.getString("Code"));
        assertThat(body.getString("message")).contains(says).isEqualTo(body.getString("Message"));
    }
}
