package dev.podidentity.agent.eksauth;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.NullSource;
import org.junit.jupiter.params.provider.ValueSource;
import software.amazon.awssdk.awscore.exception.AwsErrorDetails;
import software.amazon.awssdk.awscore.exception.AwsServiceException;

class SaidTest {

    private static final String REQUEST_ID = "0b8c3c2e-5a1f-4d7e-9f00-a1b2c3d4e5f6";

    @ParameterizedTest
    @CsvSource(delimiter = '|', nullValues = "null", value = {
        "Role cannot be assumed | id-1 | EKS Auth said: \"Role cannot be assumed\". Request ID: id-1",
        "Role cannot be assumed | null | EKS Auth said: \"Role cannot be assumed\"",
        "null | id-1 | Request ID: id-1",
    })
    void putsMessageAndRequestIdIntoWords(String message, String requestId, String words) {
        assertThat(said(message, requestId).inWords()).isEqualTo(words);
    }

    @ParameterizedTest
    @NullSource
    @ValueSource(strings = {"", "  "})
    void hasNoWordsForNothing(String message) {
        assertThat(said(message, null).inWords()).isEmpty();
        assertThat(said(message, null)).isEqualTo(Said.NOTHING);
    }

    static Stream<Arguments> secrets() {
        String part = "Ab1_-".repeat(20);
        return Stream.of(
                arguments("JWT", "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0abcdef." + part),
                arguments("JWT without a signature", "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0abcdef"),
                arguments("JWT that begins with a space", "IHsiYWxnIjoiUlMyNTYifQ.IHsic3ViIjoieCJ9IHsic3ViIjoieCJ9." + part),
                arguments("signature", part),
                arguments("session token", "IQoJb3JpZ2luX2Vj" + "Zz".repeat(60) + "=="),
                arguments("session token with slashes", "IQoJb3JpZ2luX2Vj" + "Zz/9+".repeat(60) + "=="));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("secrets")
    void leavesOutWhatCouldBeASecret(String kind, String secret) {
        Said said = said("The token " + secret + " is bad", REQUEST_ID);

        assertThat(said.message()).as(kind).doesNotContain(secret.substring(0, 20), secret.substring(secret.length() - 20)).endsWith(" is bad");
    }

    @Test
    void keepsTheNamesOfRolesAndOfTheCaller() {
        String message = "User: arn:aws:sts::123456789012:assumed-role/" + "eks-node-role-".repeat(4) + "12345678"
                + "/i-0123456789abcdef0 is not authorized to perform: eks-auth:AssumeRoleForPodIdentity";

        assertThat(said(message, REQUEST_ID).message()).isEqualTo(message);
    }

    @Test
    void isOneLineOfBoundedLength() {
        Said said = said("a\r\nb\u0000c\u2028d" + " words".repeat(1000), "x\n" + "y".repeat(1000));

        assertThat(said.message()).startsWith("a b c d words").endsWith("...").hasSize(256);
        assertThat(said.requestId()).hasSize(64).doesNotContain("\n");
    }

    private static Said said(String message, String requestId) {
        return Said.by((AwsServiceException) AwsServiceException.builder()
                .awsErrorDetails(AwsErrorDetails.builder().errorMessage(message).build())
                .requestId(requestId)
                .build());
    }
}
