package dev.podidentity.agent;

import static dev.podidentity.agent.RawHttp.request;
import static io.restassured.RestAssured.given;
import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.emulator.EksAuthEmulator;
import dev.podidentity.emulator.EksAuthError;
import dev.podidentity.emulator.Fault;
import io.vertx.core.json.JsonObject;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What {@code /debug/entries} and {@code /debug/sources} show to an operator on the node. */
class LookingInsideIT {

    /** The number of requests of one source that the probe port accepts at a time. */
    private static final int AT_ONCE = 3;

    @Test
    void anEntryIsShownWithItsHitsAndWithoutItsSecrets() throws IOException {
        try (EksAuthEmulator emulator = Emulators.start(); AgentProcess agent = AgentProcess.start(emulator)) {
            // Given
            String token = Emulators.token(emulator, "pod-1");
            JsonObject credentials = new JsonObject(RawHttp.askAsSdk(agent.port(), token).body());
            try (RawHttp sameConnection = new RawHttp(agent.port())) {
                for (int i = 0; i < 5; i++) {
                    sameConnection.askAsSdk(token);
                }
            }

            // When
            String text = inside(agent, "/debug/entries");

            // Then
            JsonObject entry = only(text, "entries");
            assertThat(entry.getMap())
                    .containsEntry("namespace", Emulators.NAMESPACE)
                    .containsEntry("serviceAccount", Emulators.SERVICE_ACCOUNT)
                    .containsEntry("podName", "pod-1")
                    .containsEntry("pods", 1)
                    .containsEntry("expiration", credentials.getString("Expiration"))
                    .containsEntry("hits", 5)
                    .containsKeys("podUid", "nextRenewal")
                    .doesNotContainKey("lastFailure");
            assertThat(entry.getString("role")).startsWith("arn:aws:sts::123456789012:assumed-role/demo/");
            assertThat(text)
                    .doesNotContain(AgentProcess.SECRETS)
                    .doesNotContain(token, credentials.getString("AccessKeyId"), credentials.getString("SecretAccessKey"),
                            credentials.getString("Token"), emulator.accessKeyId(), emulator.secretAccessKey())
                    .doesNotContainPattern(AgentProcess.SECRET);
        }
    }

    @Test
    void aRenewalThatFailsIsShownWithItsReason() throws IOException {
        try (EksAuthEmulator emulator = Emulators.start();
                AgentProcess agent = AgentProcess.start(emulator, "--max-credential-retention-before-renewal", "1s")) {
            // Given
            String token = Emulators.token(emulator, "pod-1");
            RawHttp.askAsSdk(agent.port(), token);
            emulator.inject(new Fault.ErrorAnswer(EksAuthError.INTERNAL_SERVER), Integer.MAX_VALUE);

            // When
            RawHttp.askAsSdk(agent.port(), token);
            agent.awaitLine(line -> line.contains("A call to EKS Auth failed"));
            JsonObject entry = only(inside(agent, "/debug/entries"), "entries");

            // Then
            JsonObject failure = entry.getJsonObject("lastFailure");
            assertThat(failure.getString("code")).isEqualTo("InternalServerException");
            assertThat(failure.getString("at")).matches("\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ");
            assertThat(failure.getString("message")).contains("Request ID: ");
        }
    }

    @Test
    void podsThatShareAreCountedAndNotNamed(@TempDir Path directory) throws IOException, InterruptedException {
        try (Cluster cluster = Cluster.start(directory); AgentProcess agent = cluster.verifyingAgent()) {
            // When
            for (String pod : List.of("pod-1", "pod-2", "pod-3")) {
                RawHttp.askAsSdk(agent.port(), cluster.mint(cluster.request(pod)));
            }

            // Then
            assertThat(only(inside(agent, "/debug/entries"), "entries").getMap())
                    .containsEntry("pods", 3)
                    .doesNotContainKeys("podName", "podUid");
        }
    }

    @Test
    void aSourceThatWasLimitedIsShown() throws IOException {
        try (EksAuthEmulator emulator = Emulators.start();
                AgentProcess agent = AgentProcess.start(
                        emulator, "--source-requests-per-second", "1", "--source-request-burst", "3");
                RawHttp http = new RawHttp(agent.port())) {
            // Given
            int refused = 0;
            for (int i = 0; i < 10; i++) {
                refused += http.send(request("GET", "/x", "Host: 169.254.170.23")).answer().status() == 503 ? 1 : 0;
            }

            // When
            JsonObject source = only(inside(agent, "/debug/sources"), "sources");

            // Then
            assertThat(source.getMap())
                    .containsEntry("address", AgentProcess.LOOPBACK)
                    .containsEntry("limited", true)
                    .containsEntry("refused", refused)
                    .containsKeys("requestsLeft", "secondsSinceRefused");
            assertThat(source.getJsonObject("refusedByLimit").getMap()).containsEntry("source_requests", refused);
        }
    }

    @Test
    void nothingIsShownOnThePortsThatOthersCanReach() throws IOException {
        try (EksAuthEmulator emulator = Emulators.start(); AgentProcess agent = AgentProcess.start(emulator)) {
            RawHttp.askAsSdk(agent.port(), Emulators.token(emulator, "pod-1"));

            for (String path : List.of("/debug/entries", "/debug/sources")) {
                for (String listener : List.of("metrics", "credentials")) {
                    RawHttp.Answer answer =
                            RawHttp.exchange(agent.port(listener), request("GET", path, "Host: 169.254.170.23"));
                    assertThat(answer.status()).as(listener + path).isEqualTo(404);
                    assertThat(answer.body()).doesNotContain("demo", "pod-1");
                }
            }
        }
    }

    @Test
    void whoeverAsksInALoopIsSlowedDown() throws IOException {
        try (EksAuthEmulator emulator = Emulators.start();
                AgentProcess agent = AgentProcess.start(emulator);
                RawHttp http = new RawHttp("localhost", agent.port("probes"))) {
            int status = 0;
            for (int i = 0; i < 300 && status != 429; i++) {
                // Rejected, but counted.
                http.send(request("POST", "/debug/entries", "Host: localhost").repeat(AT_ONCE));
                for (int j = 0; j < AT_ONCE; j++) {
                    status = Math.max(status, http.answer().status());
                }
            }
            assertThat(status).isEqualTo(429);
        }
    }

    private static String inside(AgentProcess agent, String path) {
        return given().port(agent.port("probes")).get(path)
                .then().statusCode(200).contentType("application/json").extract().asString();
    }

    private static JsonObject only(String text, String name) {
        JsonObject json = new JsonObject(text);
        assertThat(json.fieldNames()).containsExactly(name);
        assertThat(json.getJsonArray(name)).hasSize(1);
        return json.getJsonArray(name).getJsonObject(0);
    }
}
