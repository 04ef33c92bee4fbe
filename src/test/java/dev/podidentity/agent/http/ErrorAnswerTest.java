package dev.podidentity.agent.http;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import dev.podidentity.agent.eksauth.PermanentFailure;
import dev.podidentity.agent.eksauth.Said;
import dev.podidentity.agent.eksauth.TransientFailure;
import dev.podidentity.agent.observe.RequestOutcome;
import dev.podidentity.agent.token.RejectedToken;
import dev.podidentity.agent.token.ServiceAccountToken.WorkloadClaims;
import io.vertx.core.json.JsonObject;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

class ErrorAnswerTest {

    private static final WorkloadClaims NAMELESS = new WorkloadClaims("", "", "", "", "");
    private static final WorkloadClaims CART = new WorkloadClaims("shop", "cart", "cart-0", "uid-0", "node-1");

    @ParameterizedTest
    @CsvSource({
        "ACCESS_DENIED, 403, AccessDeniedException",
        "INVALID_PARAMETER, 400, InvalidParameterException",
        "INVALID_REQUEST, 400, InvalidRequestException",
        "INVALID_TOKEN, 400, InvalidTokenException",
        "EXPIRED_TOKEN, 400, ExpiredTokenException",
        "NO_ASSOCIATION, 403, ResourceNotFoundException"
    })
    void givesUpOnARefusalSoThatNoSdkRepeatsIt(PermanentFailure.Reason reason, int status, String code) {
        ErrorAnswer answer = ErrorAnswer.of(new PermanentFailure(reason, "do this"), NAMELESS);

        assertIs(answer, status, code, "do this", RequestOutcome.REFUSED);
    }

    @ParameterizedTest
    @CsvSource({
        "THROTTLED, ThrottlingException",
        "INTERNAL, InternalServerException",
        "UNAVAILABLE, ServiceUnavailableException",
        "TIMED_OUT, ServiceUnavailableException",
        "UNREACHABLE, ServiceUnavailableException",
        "BAD_ANSWER, InternalServerException",
        "AGENT_CREDENTIALS, ServiceUnavailableException"
    })
    void asksForARepetitionAfterTransientTrouble(TransientFailure.Reason reason, String code) {
        ErrorAnswer answer = ErrorAnswer.of(new TransientFailure(reason, "wait"), NAMELESS);

        assertIs(answer, 503, code, "wait", RequestOutcome.FAILED);
    }

    @ParameterizedTest
    @EnumSource
    void hidesNoMessageBehindA404(PermanentFailure.Reason reason) {
        assertThat(ErrorAnswer.of(new PermanentFailure(reason, ""), NAMELESS).status()).isIn(400, 403);
    }

    @ParameterizedTest
    @CsvSource({"INVALID, InvalidTokenException", "EXPIRED, ExpiredTokenException"})
    void refusesARejectedToken(RejectedToken.Kind kind, String code) {
        ErrorAnswer answer = ErrorAnswer.of(new RejectedToken(kind, "why"), Optional.empty());

        assertIs(answer, 400, code, "why", RequestOutcome.BAD_TOKEN);
    }

    @Test
    void saysWhatEksAuthSaidAndWhoseTokenItIsAfterWhatToDo() {
        PermanentFailure refusal = new PermanentFailure(
                PermanentFailure.Reason.ACCESS_DENIED, "Do this", new Said("Role cannot be assumed", "id-1"));

        assertThat(ErrorAnswer.of(refusal, CART).message())
                .isEqualTo("Do this. EKS Auth said: \"Role cannot be assumed\". Request ID: id-1."
                        + " Service account (as the token claims): shop/cart");
    }

    @Test
    void saysWhoseTokenIsRejected() {
        RejectedToken rejected = new RejectedToken(RejectedToken.Kind.EXPIRED, "Read the file again");

        assertThat(ErrorAnswer.of(rejected, Optional.of(CART)).message())
                .isEqualTo("Read the file again. Service account (as the token claims): shop/cart");
    }

    @ParameterizedTest
    @EnumSource
    void asksForARepetitionOfWhatMaySucceedAndOfNothingElse(TransientFailure.Reason reason) {
        assertThat(ErrorAnswer.of(new TransientFailure(reason, ""), CART).headers()).isEqualTo("Retry-After: 1\r\n");
        assertThat(ErrorAnswer.of(new PermanentFailure(PermanentFailure.Reason.ACCESS_DENIED, ""), CART).headers()).isEmpty();
        assertThat(ErrorAnswer.RATE.headers()).isEqualTo("Retry-After: 1\r\n");
        assertThat(ErrorAnswer.BUSY.headers()).isEqualTo("Retry-After: 1\r\n");
        assertThat(ErrorAnswer.PATH.headers()).isEmpty();
    }

    static Stream<Arguments> refusals() {
        return Stream.of(
                arguments(ErrorAnswer.HOST, 403, "AccessDeniedException", RequestOutcome.FORBIDDEN_HOST),
                arguments(ErrorAnswer.PATH, 404, "ResourceNotFoundException", RequestOutcome.BAD_REQUEST),
                arguments(ErrorAnswer.METHOD, 405, "InvalidRequestException", RequestOutcome.BAD_REQUEST),
                arguments(ErrorAnswer.BODY, 413, "InvalidRequestException", RequestOutcome.BAD_REQUEST),
                arguments(ErrorAnswer.LONG_TARGET, 414, "InvalidRequestException", RequestOutcome.BAD_REQUEST),
                arguments(ErrorAnswer.LARGE_HEADERS, 431, "InvalidRequestException", RequestOutcome.BAD_REQUEST),
                arguments(ErrorAnswer.MALFORMED, 400, "InvalidRequestException", RequestOutcome.BAD_REQUEST),
                arguments(ErrorAnswer.RATE, 503, "ThrottlingException", RequestOutcome.LIMITED));
    }

    @ParameterizedTest
    @MethodSource("refusals")
    void refusesWhatIsNoRequestForCredentials(ErrorAnswer answer, int status, String code, RequestOutcome outcome) {
        assertThat(answer.status()).isEqualTo(status);
        assertThat(answer.code()).isEqualTo(code);
        assertThat(answer.outcome()).isEqualTo(outcome);
        assertThat(answer.message()).isNotBlank();
    }

    @Test
    void saysWhichMethodsThereAre() {
        assertThat(ErrorAnswer.METHOD.headers()).isEqualTo("Allow: GET, HEAD\r\n");
    }

    @Test
    void writesTheKeysInBothCasesSinceSdksDifferInWhichTheyRead() {
        ErrorAnswer answer =
                ErrorAnswer.of(new RejectedToken(RejectedToken.Kind.INVALID, "why"), Optional.empty());

        assertThat(new String(answer.body(), StandardCharsets.UTF_8)).isEqualTo(
                "{\"code\":\"InvalidTokenException\",\"message\":\"why\","
                        + "\"Code\":\"InvalidTokenException\",\"Message\":\"why\"}");
    }

    @Test
    void escapesWhatIsNotPlainText() {
        String message = "\"\\\r\n\u0000\u5e97";
        String body = new String(
                ErrorAnswer.of(new RejectedToken(RejectedToken.Kind.INVALID, message), Optional.empty()).body(),
                StandardCharsets.UTF_8);

        assertThat(body).doesNotContain("\n", "\r", "\u0000");
        assertThat(new JsonObject(body).getString("Message")).isEqualTo(message);
    }

    private static void assertIs(ErrorAnswer answer, int status, String code, String message, RequestOutcome outcome) {
        assertThat(answer.status()).isEqualTo(status);
        assertThat(answer.code()).isEqualTo(code);
        assertThat(answer.message()).isEqualTo(message);
        assertThat(answer.outcome()).isEqualTo(outcome);
    }
}
