package dev.podidentity.agent.eksauth;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import dev.podidentity.agent.observe.UpstreamFailure;
import io.netty.channel.ConnectTimeoutException;
import io.netty.handler.ssl.NotSslRecordException;
import io.netty.handler.ssl.SslClosedEngineException;
import io.netty.handler.ssl.SslHandshakeTimeoutException;
import io.netty.handler.timeout.ReadTimeoutException;
import java.io.IOException;
import java.net.ConnectException;
import java.net.NoRouteToHostException;
import java.net.SocketException;
import java.net.UnknownHostException;
import java.security.cert.CertificateException;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeoutException;
import java.util.stream.Stream;
import javax.net.ssl.SSLHandshakeException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import software.amazon.awssdk.awscore.exception.AwsErrorDetails;
import software.amazon.awssdk.core.exception.SdkClientException;
import software.amazon.awssdk.services.eksauth.model.EksAuthException;
import software.amazon.awssdk.services.eksauth.model.ThrottlingException;

class FailureReaderTest {

    private final FailureReader failures = new FailureReader("prod", "eks-auth.us-west-2.api.aws");

    @ParameterizedTest
    @CsvSource({
        "AccessDeniedException, 400, ACCESS_DENIED, sts:TagSession",
        "InvalidParameterException, 400, INVALID_PARAMETER, --cluster-name",
        "InvalidRequestException, 400, INVALID_REQUEST, role of the association",
        "InvalidTokenException, 400, INVALID_TOKEN, cluster prod",
        "ExpiredTokenException, 400, EXPIRED_TOKEN, re-read the token file",
        "ResourceNotFoundException, 404, NO_ASSOCIATION, create-pod-identity-association",
        "ResourceNotFoundException, 400, NO_ASSOCIATION, cluster prod",
        "ValidationException, 400, INVALID_PARAMETER, --cluster-name"
    })
    void takesARefusalForPermanentAndSaysWhatToDo(String code, int status, PermanentFailure.Reason reason, String remedy) {
        assertPermanent(failures.read(answer(code, status)), reason, remedy);
    }

    @ParameterizedTest
    @CsvSource({
        "ThrottlingException, 429, THROTTLED, throttles",
        "ThrottlingException, 400, THROTTLED, throttles",
        "TooManyRequestsException, 429, THROTTLED, throttles",
        "RequestLimitExceeded, 400, THROTTLED, throttles",
        "InternalServerException, 500, INTERNAL, internal error",
        "ServiceUnavailableException, 503, UNAVAILABLE, unavailable",
        "SomethingNewException, 429, THROTTLED, throttles",
        "SomethingNewException, 500, INTERNAL, internal error",
        "SomethingNewException, 502, UNAVAILABLE, unavailable",
        "SomethingNewException, 503, UNAVAILABLE, unavailable",
        "SomethingNewException, 504, UNAVAILABLE, unavailable",
        "SomethingNewException, 599, UNAVAILABLE, unavailable",
        "Throttling, 400, THROTTLED, throttles",
        "SlowDown, 400, THROTTLED, throttles",
        "SomethingNewException, 400, BAD_ANSWER, SomethingNewException (status 400)",
        "SomethingNewException, 404, BAD_ANSWER, SomethingNewException (status 404)",
        "SomethingNewException, 408, BAD_ANSWER, status 408",
        "SomethingNewException, 302, BAD_ANSWER, status 302",
        "InternalServerException, 400, BAD_ANSWER, InternalServerException (status 400)",
        "AccessDeniedException, 404, BAD_ANSWER, AccessDeniedException (status 404)",
        "ExpiredTokenException, 404, BAD_ANSWER, ExpiredTokenException (status 404)",
        "InvalidTokenException, 500, INTERNAL, internal error",
        "AccessDeniedException, 503, UNAVAILABLE, unavailable",
        "ThrottlingException, 403, THROTTLED, throttles"
    })
    void takesTroubleForTransient(String code, int status, TransientFailure.Reason reason, String message) {
        assertTransient(failures.read(answer(code, status)), reason, message);
    }

    @ParameterizedTest
    @CsvSource({
        "ExpiredTokenException, 403",
        "ExpiredToken, 403",
        "UnrecognizedClientException, 403",
        "InvalidSignatureException, 403",
        "MissingAuthenticationTokenException, 403",
        "IncompleteSignatureException, 400",
        "InvalidClientTokenId, 403",
        "RequestExpired, 403",
        "RequestTimeTooSkewed, 400",
        "UnrecognizedClientException, 400",
        "SignatureDoesNotMatch, 403",
        "InvalidTokenException, 403",
        "ResourceNotFoundException, 403",
        "InvalidRequestException, 403",
        "OptInRequired, 403",
        "SomethingNewException, 403"
    })
    void doesNotBlameThePodForTheAgentsOwnCredentials(String code, int status) {
        assertTransient(
                failures.read(answer(code, status)),
                TransientFailure.Reason.AGENT_CREDENTIALS,
                "agent's own AWS credentials (" + code + "): check the node's role or keys");
    }

    @Test
    void saysThatTheNodesRoleLacksThePermissionAndNothingOfTheRoleOfThePod() {
        EksAuthFailure failure = failures.read(answer("AccessDeniedException", 403));

        assertTransient(failure, TransientFailure.Reason.AGENT_PERMISSION, "the node's role eks-auth:AssumeRoleForPodIdentity");
        assertThat(failure.code()).isEqualTo("ServiceUnavailableException");
        assertThat(failure.message()).doesNotContain("trust");
    }

    @Test
    void saysThatTheRoleOfThePodDoesNotTrustEksAuthAndNothingOfTheNodesRole() {
        EksAuthFailure failure = failures.read(answer("AccessDeniedException", 400));

        assertPermanent(failure, PermanentFailure.Reason.ACCESS_DENIED, "trust policy, allow pods.eks.amazonaws.com");
        assertThat(failure.message()).doesNotContain("node");
    }

    @ParameterizedTest
    @ValueSource(ints = {200, 301, 400, 401, 403, 404, 407, 408, 421})
    void takesAnAnswerWithoutANameForThatOfSomebodyElse(int status) {
        assertTransient(
                failures.read(answer(null, status)),
                TransientFailure.Reason.BAD_ANSWER,
                "eks-auth.us-west-2.api.aws with status " + status + " is not EKS Auth: check --endpoint and the proxy");
    }

    @ParameterizedTest
    @CsvSource({"429, THROTTLED", "500, INTERNAL", "502, UNAVAILABLE", "503, UNAVAILABLE", "504, UNAVAILABLE"})
    void goesByTheStatusOfTroubleWithoutAName(int status, TransientFailure.Reason reason) {
        assertTransient(failures.read(answer(null, status)), reason, "try again");
        assertTransient(
                failures.read(EksAuthException.builder().statusCode(status).build()), reason, "try again");
    }

    @Test
    void readsTheModelsOwnExceptions() {
        ThrottlingException thrown = (ThrottlingException) ThrottlingException.builder()
                .awsErrorDetails(AwsErrorDetails.builder().errorCode("ThrottlingException").build())
                .statusCode(429)
                .build();

        assertTransient(failures.read(thrown), TransientFailure.Reason.THROTTLED, "throttles");
    }

    @Test
    void showsNothingButLettersAndDigitsOfANameItDoesNotKnow() {
        EksAuthFailure failure = failures.read(answer("Evil\r\n\"<script>\u001b[31m" + "x".repeat(1000), 400));

        assertThat(failure.message())
                .startsWith("EKS Auth responds with Evilscript31mxxx")
                .hasSizeLessThan(200);
    }

    @Test
    void neverShowsTheMessageOfTheOtherSide() {
        EksAuthException thrown = (EksAuthException) EksAuthException.builder()
                .message("token eyJhbGciOiJSUzI1NiJ9 is bad")
                .awsErrorDetails(AwsErrorDetails.builder()
                        .errorCode("InvalidTokenException")
                        .errorMessage("token eyJhbGciOiJSUzI1NiJ9 is bad")
                        .build())
                .statusCode(400)
                .build();

        assertThat(failures.read(thrown).message()).doesNotContain("eyJ");
    }

    static Stream<Arguments> thrown() {
        return Stream.of(
                arguments(new UnknownHostException("eks-auth"), TransientFailure.Reason.NO_ADDRESS,
                        "eks-auth.us-west-2.api.aws of EKS Auth does not resolve: check the DNS of this node; a private cluster"
                                + " needs a VPC endpoint for eks-auth with private DNS for *.api.aws"),
                arguments(new TimeoutException(), TransientFailure.Reason.TIMED_OUT,
                        "EKS Auth at eks-auth.us-west-2.api.aws did not respond in time"),
                arguments(new ConnectTimeoutException("connect"), TransientFailure.Reason.TIMED_OUT, "in time"),
                arguments(ReadTimeoutException.INSTANCE, TransientFailure.Reason.TIMED_OUT, "in time"),
                arguments(new SslHandshakeTimeoutException("10 s"), TransientFailure.Reason.TIMED_OUT, "in time"),
                arguments(new ConnectException("Connection refused"), TransientFailure.Reason.UNREACHABLE,
                        "eks-auth.us-west-2.api.aws cannot be reached: check the route, the security groups and the proxy"),
                arguments(new NoRouteToHostException("No route to host"), TransientFailure.Reason.UNREACHABLE, "the route"),
                arguments(new SocketException("Network is unreachable"), TransientFailure.Reason.UNREACHABLE, "the route"),
                arguments(new SocketException("Connection reset"), TransientFailure.Reason.BROKEN,
                        "connection to EKS Auth at eks-auth.us-west-2.api.aws was lost"),
                arguments(new SslClosedEngineException("closed"), TransientFailure.Reason.BROKEN, "was lost"),
                arguments(new IOException("closed"), TransientFailure.Reason.BROKEN, "was lost"),
                arguments(new SSLHandshakeException("no cipher suites in common"), TransientFailure.Reason.TLS,
                        "The TLS handshake with EKS Auth at eks-auth.us-west-2.api.aws failed"),
                arguments(new NotSslRecordException("HTTP/1.1 400"), TransientFailure.Reason.TLS, "The TLS handshake"),
                arguments(new CertificateException("no path"), TransientFailure.Reason.TLS,
                        "certificate of EKS Auth at eks-auth.us-west-2.api.aws is not trusted: check which server responds at this"
                                + " name, and that AWS_CA_BUNDLE"),
                arguments(new AnswerShape.MalformedException("it is not a JSON object"), TransientFailure.Reason.BAD_ANSWER,
                        "eks-auth.us-west-2.api.aws cannot be used: it is not a JSON object"),
                arguments(new AgentCredentials.UnavailableException(), TransientFailure.Reason.NOT_READY,
                        "has not found its own AWS credentials"),
                arguments(new IllegalStateException("?"), TransientFailure.Reason.BAD_ANSWER, "could not be read"),
                arguments(SdkClientException.create("Unable to unmarshall"), TransientFailure.Reason.BAD_ANSWER,
                        "could not be read"));
    }

    @ParameterizedTest
    @MethodSource("thrown")
    void findsTheCauseHoweverDeepTheSdkHidesIt(Throwable cause, TransientFailure.Reason reason, String message) {
        assertTransient(failures.read(cause), reason, message);
        assertTransient(failures.read(new CompletionException(cause)), reason, message);
        assertTransient(
                failures.read(new CompletionException(SdkClientException.create("Unable to execute HTTP request: null",
                        new RuntimeException(cause)))),
                reason,
                message);
    }

    @Test
    void findsAnAnswerInsideACompletionException() {
        assertPermanent(
                failures.read(new CompletionException(new CompletionException(answer("AccessDeniedException", 400)))),
                PermanentFailure.Reason.ACCESS_DENIED,
                "trust policy");
    }

    @Test
    void takesAHostWithoutAddressForTheReasonOfAFailedConnection() {
        IOException connect = new IOException("connect", new UnknownHostException("eks-auth"));

        assertTransient(failures.read(connect), TransientFailure.Reason.NO_ADDRESS, "does not resolve");
    }

    @Test
    void takesACertificateForTheReasonOfAFailedHandshake() {
        SSLHandshakeException handshake = new SSLHandshakeException("PKIX path building failed");
        handshake.initCause(new CertificateException("no path"));

        assertTransient(failures.read(handshake), TransientFailure.Reason.TLS, "AWS_CA_BUNDLE");
    }

    @Test
    void tellsEveryReasonApartInTheMetric() {
        assertThat(Stream.of(TransientFailure.Reason.values()).map(TransientFailure.Reason::counted))
                .containsExactlyInAnyOrder(UpstreamFailure.values());
    }

    @Test
    void readsAChainOfCausesThatEndsInACircle() {
        IOException first = new IOException("first");
        IOException second = new IOException("second", first);
        first.initCause(second);

        assertTransient(failures.read(first), TransientFailure.Reason.BROKEN, "was lost");
    }

    @Test
    void takesATimeOutForTheReasonOfAnIoFailure() {
        assertTransient(
                failures.read(new IOException("read", new TimeoutException())),
                TransientFailure.Reason.TIMED_OUT,
                "did not respond in time");
    }

    @ParameterizedTest
    @CsvSource({
        "AccessDeniedException, 400, true",
        "ResourceNotFoundException, 404, true",
        "ThrottlingException, 429, true",
        "SomethingNewException, 500, true",
        "AccessDeniedException, 403, true",
        "InvalidSignatureException, 403, false",
        "UnrecognizedClientException, 403, false",
        "SignatureDoesNotMatch, 400, false",
    })
    void handsOnWhatEksAuthSaysUnlessItIsAboutTheAgentsOwnSignature(String code, int status, boolean message) {
        EksAuthFailure failure = failures.read(EksAuthException.builder()
                .statusCode(status)
                .requestId("id-1")
                .awsErrorDetails(AwsErrorDetails.builder().errorCode(code).errorMessage("Its own words").build())
                .build());

        assertThat(failure.said()).isEqualTo(new Said(message ? "Its own words" : "", "id-1"));
        assertThat(failure.explanation()).startsWith(failure.message() + ". ").endsWith("Request ID: id-1");
    }

    @Test
    void saysNothingMoreWhereThereWasNoAnswer() {
        EksAuthFailure failure = failures.read(new TimeoutException());

        assertThat(failure.said()).isEqualTo(Said.NOTHING);
        assertThat(failure.explanation()).isEqualTo(failure.message());
    }

    private static EksAuthException answer(String code, int status) {
        return (EksAuthException) EksAuthException.builder()
                .awsErrorDetails(AwsErrorDetails.builder().errorCode(code).build())
                .statusCode(status)
                .build();
    }

    private static void assertPermanent(EksAuthFailure failure, PermanentFailure.Reason reason, String message) {
        assertThat(failure).isInstanceOfSatisfying(
                PermanentFailure.class, permanent -> assertThat(permanent.reason()).isEqualTo(reason));
        assertThat(failure.message()).contains(message);
    }

    private static void assertTransient(EksAuthFailure failure, TransientFailure.Reason reason, String message) {
        assertThat(failure).isInstanceOfSatisfying(
                TransientFailure.class, passing -> assertThat(passing.reason()).isEqualTo(reason));
        assertThat(failure.message()).contains(message);
    }
}
