package dev.podidentity.emulator;

import static org.assertj.core.api.Assertions.assertThat;

import io.vertx.core.json.JsonObject;
import java.net.http.HttpResponse;
import java.time.Instant;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ControlRouteTest {

    private static EksAuthEmulator emulator;
    private static RawClient client;

    private String token;

    @BeforeAll
    static void start() {
        emulator = EksAuthEmulator.start();
        emulator.associate("default", "demo", "arn:aws:iam::123456789012:role/demo");
        client = new RawClient(emulator);
    }

    @AfterAll
    static void stop() {
        emulator.close();
    }

    @BeforeEach
    void clean() {
        emulator.heal();
        emulator.resetCounts();
        token = emulator.tokens().mint("default", "demo", "demo-0");
    }

    @Test
    void injectsAndHealsAFault() throws Exception {
        // When
        HttpResponse<String> injected = client.control("PUT", "/emulator/fault", """
                {"type":"error","name":"ThrottlingException"}""");

        // Then
        assertThat(injected.statusCode()).isEqualTo(204);
        assertThat(client.assumeRole(token).statusCode()).isEqualTo(429);
        assertThat(client.assumeRole(token).statusCode()).isEqualTo(429);

        // When
        client.control("DELETE", "/emulator/fault", "");

        // Then
        assertThat(client.assumeRole(token).statusCode()).isEqualTo(200);
    }

    @Test
    void injectsAFaultForTheNextCallsOnly() throws Exception {
        // When
        client.control("PUT", "/emulator/fault", """
                {"type":"error","status":418,"name":"TeapotException","message":"Short","times":1,"after-millis":1}""");
        HttpResponse<String> answer = client.assumeRole(token);

        // Then
        assertThat(answer.statusCode()).isEqualTo(418);
        assertThat(answer.headers().firstValue("x-amzn-ErrorType")).contains("TeapotException");
        assertThat(answer.body()).isEqualTo("{\"message\":\"Short\"}");
        assertThat(client.assumeRole(token).statusCode()).isEqualTo(200);
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "{'type':'latency','millis':300}",
        "{'type':'hang'}",
        "{'type':'reset'}",
        "{'type':'truncated'}",
        "{'type':'slow-body','millis':1}",
        "{'type':'other-subject','namespace':'default','serviceAccount':'other'}",
        "{'type':'not-json'}",
        "{'type':'empty-body'}",
        "{'type':'redirect'}",
        "{'type':'missing-field','field':'credentials.accessKeyId'}",
        "{'type':'wrong-type','field':'credentials'}",
        "{'type':'short-expiry','seconds':-60,'times':2}"
    })
    void takesEveryKindOfFault(String json) throws Exception {
        assertThat(client.control("PUT", "/emulator/fault", json.replace('\'', '"')).statusCode()).isEqualTo(204);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', textBlock = """
            ``                                          | The body must be JSON
            {                                           | The body must be JSON
            []                                          | The body must be a JSON object: []
            {}                                          | type must be a string: null
            {"type":7}                                  | type must be a string: 7
            {"type":"tornado"}                          | type must be latency, error,
            {"type":"latency"}                          | millis must be a whole number of 32 bits: null
            {"type":"latency","millis":-1}              | delay must not be negative
            {"type":"latency","millis":99999999999}     | millis must be a whole number of 32 bits: 99999999999
            {"type":"slow-body","millis":0}             | pause must be a millisecond or more: PT0S
            {"type":"other-subject","namespace":"x"}    | serviceAccount must be a string: null
            {"type":"error","name":"OopsException"}     | name must be one of [AccessDeniedException,
            {"type":"error","name":"X","status":200}    | status must be from 400 to 599: 200
            {"type":"missing-field","field":"x"}        | field must be one of [subject,
            {"type":"hang","times":0}                   | times must be 1 or more: 0
            {"type":"hang","tmies":3}                   | The body has unknown fields: tmies
            """)
    void saysWhatIsWrongWithAFault(String json, String message) throws Exception {
        // When
        HttpResponse<String> answer = client.control("PUT", "/emulator/fault", json);

        // Then
        assertThat(answer.statusCode()).isEqualTo(400);
        assertThat(answer.body()).startsWith(message);
        assertThat(client.assumeRole(token).statusCode()).isEqualTo(200);
    }

    @Test
    void tellsAndResetsTheCounts() throws Exception {
        // Given
        client.assumeRole(token);

        // Then
        assertThat(client.control("GET", "/emulator/calls", "").body())
                .isEqualTo("{\"calls\":1,\"inFlight\":0,\"maxInFlight\":1}");

        // When
        client.control("DELETE", "/emulator/calls", "");

        // Then
        assertThat(client.control("GET", "/emulator/calls", "").body())
                .isEqualTo("{\"calls\":0,\"inFlight\":0,\"maxInFlight\":0}");
    }

    @Test
    void mintsATokenThatItAccepts() throws Exception {
        // Given
        JsonObject pod = new JsonObject()
                .put("namespace", "default")
                .put("serviceAccount", "demo")
                .put("pod", "demo-7");

        // When
        HttpResponse<String> minted = client.control("POST", "/emulator/token", pod.encode());
        HttpResponse<String> expired =
                client.control("POST", "/emulator/token", pod.put("lifetimeSeconds", -1).encode());

        // Then
        assertThat(minted.headers().firstValue("Content-Type")).contains("text/plain");
        assertThat(client.assumeRole(minted.body()).body()).contains("emulated-session-demo-demo-7-");
        assertThat(emulator.tokens().verify(expired.body(), Instant.now()))
                .isInstanceOf(TokenVerification.Expired.class);
    }

    @Test
    void saysWhatATokenNeeds() throws Exception {
        // When
        HttpResponse<String> answer = client.control("POST", "/emulator/token", "{\"namespace\":\"default\"}");

        // Then
        assertThat(answer.statusCode()).isEqualTo(400);
        assertThat(answer.body()).isEqualTo("serviceAccount must be a string: null");
    }

    @Test
    void doesNotKnowOtherControls() throws Exception {
        assertThat(client.control("GET", "/emulator/fault", "").statusCode()).isEqualTo(404);
    }
}
