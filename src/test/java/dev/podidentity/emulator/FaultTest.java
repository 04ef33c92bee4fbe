package dev.podidentity.emulator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.vertx.core.json.JsonObject;
import java.io.IOException;
import java.net.Socket;
import java.net.SocketException;
import java.net.SocketTimeoutException;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

class FaultTest {

    static final List<String> FIELDS = Fault.ANSWER_FIELDS;

    private static EksAuthEmulator emulator;
    private static RawClient client;
    private static String token;

    @BeforeAll
    static void start() {
        emulator = EksAuthEmulator.start();
        emulator.associate("default", "demo", "arn:aws:iam::123456789012:role/demo");
        client = new RawClient(emulator);
        token = emulator.tokens().mint("default", "demo", "demo-0");
    }

    @AfterAll
    static void stop() {
        emulator.close();
    }

    @BeforeEach
    void heal() {
        emulator.heal();
        emulator.resetCounts();
    }

    @Test
    void latencyDelaysAGoodAnswer() throws Exception {
        // Given
        emulator.inject(new Fault.Latency(Duration.ofMillis(50)));
        long start = System.nanoTime();

        // When
        HttpResponse<String> answer = client.assumeRole(token);

        // Then
        assertThat(answer.statusCode()).isEqualTo(200);
        assertThat(Duration.ofNanos(System.nanoTime() - start)).isGreaterThanOrEqualTo(Duration.ofMillis(50));
    }

    @Test
    void latencyLeavesTheChecksInPlace() throws Exception {
        // Given
        emulator.inject(new Fault.Latency(Duration.ofMillis(1)));

        // Then
        assertThat(client.assumeRole("no token").statusCode()).isEqualTo(400);
    }

    @Test
    void aDelayedFaultHappensLate() throws Exception {
        // Given
        emulator.inject(Fault.after(Duration.ofMillis(50), new Fault.ErrorAnswer(418, "TeapotException", "Short")));
        long start = System.nanoTime();

        // When
        HttpResponse<String> answer = client.assumeRole(token);

        // Then
        assertThat(answer.statusCode()).isEqualTo(418);
        assertThat(answer.headers().firstValue("x-amzn-ErrorType")).contains("TeapotException");
        assertThat(answer.body()).isEqualTo("{\"message\":\"Short\"}");
        assertThat(Duration.ofNanos(System.nanoTime() - start)).isGreaterThanOrEqualTo(Duration.ofMillis(50));
    }

    @Test
    void aHangingCallIsInFlightUntilTheClientGivesUp() throws Exception {
        // Given
        emulator.inject(new Fault.Hang());

        try (Socket socket = call()) {
            // When
            emulator.whenCalls(1).get(5, TimeUnit.SECONDS);
            socket.setSoTimeout(100);

            // Then
            assertThatThrownBy(() -> socket.getInputStream().read()).isInstanceOf(SocketTimeoutException.class);
            assertThat(emulator.inFlight()).isEqualTo(1);
        }
        Instant deadline = Instant.now().plusSeconds(5);
        while (emulator.inFlight() > 0 && Instant.now().isBefore(deadline)) {
            Thread.onSpinWait();
        }
        assertThat(emulator.inFlight()).isZero();
    }

    @Test
    void resetSendsRst() throws Exception {
        // Given
        emulator.inject(new Fault.Reset());

        try (Socket socket = call()) {
            // Then
            assertThatThrownBy(() -> socket.getInputStream().readAllBytes())
                    .isInstanceOf(SocketException.class)
                    .hasMessageContaining("reset");
        }
    }

    @Test
    void truncatedStopsBeforeTheContentLength() {
        // Given
        emulator.inject(new Fault.Truncated());

        // Then
        assertThatThrownBy(() -> client.assumeRole(token))
                .isInstanceOf(IOException.class)
                .hasStackTraceContaining("fixed content-length");
    }

    @Test
    void aSlowBodyComesByteByByte() throws Exception {
        // Given
        emulator.inject(new Fault.SlowBody(Duration.ofMillis(1)));
        long start = System.nanoTime();

        // When
        HttpResponse<String> answer = client.assumeRole(token);

        // Then
        assertThat(new JsonObject(answer.body()).getJsonObject("credentials").getString("accessKeyId")).startsWith("ASIA");
        assertThat(Duration.ofNanos(System.nanoTime() - start))
                .isGreaterThanOrEqualTo(Duration.ofMillis(answer.body().length() / 2));
        assertThat(emulator.inFlight()).isZero();
    }

    @Test
    void anotherSubjectIsWhatAnotherServiceAccountWouldGet() throws Exception {
        // Given
        emulator.associate("default", "other", "arn:aws:iam::123456789012:role/other");
        emulator.inject(new Fault.OtherSubject("default", "other"));

        // When
        JsonObject answer = new JsonObject(client.assumeRole(token).body());

        // Then
        assertThat(answer.getJsonObject("subject").getString("serviceAccount")).isEqualTo("other");
        assertThat(answer.getJsonObject("assumedRoleUser").getString("arn")).contains(":assumed-role/other/");
        assertThat(answer.getJsonObject("credentials").getString("sessionToken")).startsWith("emulated-session-other-");
    }

    @Test
    void notJsonIsAPageWithStatus200() throws Exception {
        // Given
        emulator.inject(new Fault.NotJson());

        // When
        HttpResponse<String> answer = client.assumeRole(token);

        // Then
        assertThat(answer.statusCode()).isEqualTo(200);
        assertThat(answer.headers().firstValue("Content-Type")).contains("text/html");
        assertThat(answer.body()).startsWith("<html>");
    }

    @Test
    void anEmptyBodyHasStatus200() throws Exception {
        // Given
        emulator.inject(new Fault.EmptyBody());

        // When
        HttpResponse<String> answer = client.assumeRole(token);

        // Then
        assertThat(answer.statusCode()).isEqualTo(200);
        assertThat(answer.body()).isEmpty();
    }

    @Test
    void aRedirectLeadsElsewhere() throws Exception {
        // Given
        emulator.inject(new Fault.Redirect());

        // When
        HttpResponse<String> answer = client.assumeRole(token);

        // Then
        assertThat(answer.statusCode()).isEqualTo(302);
        assertThat(answer.headers().firstValue("Location")).contains("/elsewhere");
    }

    @Test
    void aShortExpiryMayBePast() throws Exception {
        // Given
        emulator.inject(new Fault.ShortExpiry(Duration.ofSeconds(-60)));

        // When
        double expiration = new JsonObject(client.assumeRole(token).body())
                .getJsonObject("credentials")
                .getDouble("expiration");

        // Then
        assertThat(expiration).isLessThan(Instant.now().getEpochSecond());
    }

    @ParameterizedTest
    @FieldSource("FIELDS")
    void aMissingFieldIsMissing(String field) throws Exception {
        // Given
        assertThat(value(field)).isNotNull();
        emulator.inject(new Fault.MissingField(field));

        // Then
        assertThat(value(field)).isNull();
    }

    @ParameterizedTest
    @FieldSource("FIELDS")
    void aWrongTypeIsAnother(String field) throws Exception {
        // Given
        Class<?> right = value(field).getClass();
        emulator.inject(new Fault.WrongType(field));

        // Then
        assertThat(value(field)).isNotNull().isNotInstanceOf(right);
    }

    @Test
    void namesTheFieldsThatThereAre() {
        assertThatThrownBy(() -> new Fault.MissingField("credentials.secret"))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageStartingWith("field must be one of [subject,")
                .hasMessageEndingWith(": credentials.secret");
    }

    private static Object value(String field) throws IOException, InterruptedException {
        JsonObject answer = new JsonObject(client.assumeRole(token).body());
        String[] names = field.split("\\.");
        return names.length == 1 ? answer.getValue(field) : answer.getJsonObject(names[0]).getValue(names[1]);
    }

    /** Makes a call over a plain socket, which shows how the connection ends. */
    private static Socket call() throws IOException {
        String body = RawClient.body(token);
        Socket socket = new Socket("127.0.0.1", emulator.endpoint().getPort());
        socket.setSoTimeout(5_000);
        socket.getOutputStream().write(("POST " + client.assumeRoleUri().getPath() + " HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                + "Content-Length: " + body.length() + "\r\n\r\n" + body).getBytes(StandardCharsets.US_ASCII));
        return socket;
    }
}
