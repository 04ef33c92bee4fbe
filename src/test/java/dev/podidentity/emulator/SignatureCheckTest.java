package dev.podidentity.emulator;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.emulator.RawClient.Signing;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.AwsSessionCredentials;

class SignatureCheckTest {

    private static EksAuthEmulator emulator;
    private static RawClient client;
    private static String body;

    private Signing signing;

    @BeforeAll
    static void start() {
        emulator = EksAuthEmulator.start();
        emulator.associate("default", "demo", "arn:aws:iam::123456789012:role/demo");
        client = new RawClient(emulator);
        body = RawClient.body(emulator.tokens().mint("default", "demo", "demo-0"));
    }

    @AfterAll
    static void stop() {
        emulator.close();
    }

    @BeforeEach
    void signWithTheNodeCredentials() {
        signing = Signing.of(emulator);
    }

    @Test
    void acceptsACallThatTheNodeSigned() throws Exception {
        assertThat(client.send(client.signed(body, signing), body).statusCode()).isEqualTo(200);
    }

    @Test
    void rejectsACallThatNobodySigned() throws Exception {
        // When
        HttpResponse<String> answer = client.send(HttpRequest.newBuilder(client.assumeRoleUri()), body);

        // Then
        assertRefused(answer, "MissingAuthenticationTokenException");
    }

    @Test
    void rejectsACallWhoseSignatureCoversAnotherBody() throws Exception {
        // When
        HttpResponse<String> answer = client.send(client.signed(body, signing), body.replace("}", " }"));

        // Then
        assertRefused(answer, "InvalidSignatureException");
        assertThat(answer.body()).contains("does not match");
    }

    @Test
    void rejectsACallThatWasSignedForAnotherService() throws Exception {
        // When
        HttpResponse<String> answer =
                client.send(client.signed(body, signing.withScope(emulator.region(), "eks")), body);

        // Then
        assertRefused(answer, "InvalidSignatureException");
        assertThat(answer.body()).contains("eks-auth");
    }

    @Test
    void rejectsAnAccessKeyThatItDoesNotKnow() throws Exception {
        // Given
        Signing stranger =
                signing.withCredentials(AwsBasicCredentials.create("AKIDEXAMPLE0STRANGER", emulator.secretAccessKey()));

        // Then
        assertRefused(client.send(client.signed(body, stranger), body), "UnrecognizedClientException");
    }

    @Test
    void rejectsASessionTokenWithLongTermCredentials() throws Exception {
        // Given
        Signing temporary = signing.withCredentials(
                AwsSessionCredentials.create(emulator.accessKeyId(), emulator.secretAccessKey(), "session"));

        // Then
        assertRefused(client.send(client.signed(body, temporary), body), "UnrecognizedClientException");
    }

    @Test
    void acceptsTheSessionTokenOfTemporaryCredentialsAndNoOther() throws Exception {
        // Given
        EmulatorConfig config = EmulatorConfig.defaults()
                .withNodeCredentials("ASIDEXAMPLE00000NODE", "made-up-secret", Optional.of("session"))
                .withAssociations(List.of(
                        new Association("default", "demo", "arn:aws:iam::123456789012:role/demo", "a-0demo")));
        try (EksAuthEmulator temporary = EksAuthEmulator.start(config)) {
            RawClient ofNode = new RawClient(temporary);
            Signing own = Signing.of(temporary)
                    .withCredentials(AwsSessionCredentials.create("ASIDEXAMPLE00000NODE", "made-up-secret", "session"));

            // Then
            assertThat(ofNode.send(ofNode.signed(body, own), body).statusCode()).isEqualTo(200);
            assertRefused(ofNode.send(ofNode.signed(body, Signing.of(temporary)), body), "UnrecognizedClientException");
        }
    }

    @Test
    void allowsFiveMinutesBetweenTheClocks() throws Exception {
        // Given
        Signing early = signing.withClockOff(Duration.ofMinutes(4));
        Signing tooEarly = signing.withClockOff(Duration.ofMinutes(6));
        Signing tooLate = signing.withClockOff(Duration.ofMinutes(-6));

        // Then
        assertThat(client.send(client.signed(body, early), body).statusCode()).isEqualTo(200);
        assertRefused(client.send(client.signed(body, tooEarly), body), "InvalidSignatureException");
        assertRefused(client.send(client.signed(body, tooLate), body), "InvalidSignatureException");
    }

    @Test
    void rejectsAnAmazonHeaderThatIsNotSigned() throws Exception {
        // When
        HttpResponse<String> answer =
                client.send(client.signed(body, signing).header("X-Amz-Meddled", "yes"), body);

        // Then
        assertRefused(answer, "InvalidSignatureException");
        assertThat(answer.body()).contains("x-amz-meddled");
    }

    @Test
    void rejectsAnAuthorizationThatIsNoSignature() throws Exception {
        // When
        HttpResponse<String> answer = client.send(
                HttpRequest.newBuilder(client.assumeRoleUri()).header("Authorization", "Bearer token"), body);

        // Then
        assertRefused(answer, "IncompleteSignatureException");
    }

    private static void assertRefused(HttpResponse<String> answer, String type) {
        assertThat(answer.statusCode()).isEqualTo(403);
        assertThat(answer.headers().firstValue("x-amzn-ErrorType")).contains(type);
        assertThat(answer.headers().firstValue("Content-Type")).contains("application/json");
        assertThat(answer.body()).startsWith("{\"message\":\"");
    }
}
