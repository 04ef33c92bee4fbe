package dev.podidentity.emulator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.vertx.core.json.JsonObject;
import java.net.ConnectException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.AwsCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.retries.DefaultRetryStrategy;
import software.amazon.awssdk.services.eksauth.EksAuthAsyncClient;
import software.amazon.awssdk.services.eksauth.model.AssumeRoleForPodIdentityResponse;
import software.amazon.awssdk.services.eksauth.model.Credentials;
import software.amazon.awssdk.services.eksauth.model.EksAuthException;

class EksAuthEmulatorTest {

    private static final String ROLE = "arn:aws-cn:iam::123456789012:role/teams/demo";

    private static EksAuthEmulator emulator;
    private static EksAuthAsyncClient client;

    private String token;

    @BeforeAll
    static void start() {
        emulator = EksAuthEmulator.start();
        client = client(emulator.region(), emulator.secretAccessKey());
    }

    @AfterAll
    static void stop() {
        client.close();
        emulator.close();
    }

    @BeforeEach
    void clean() {
        emulator.heal();
        emulator.resetCounts();
        emulator.associate("default", "demo", ROLE);
        token = emulator.tokens().mint("default", "demo", "demo-0");
    }

    @Test
    void refusesConnectionsUntilItAcceptsThemAgain() throws Exception {
        try (EksAuthEmulator other = EksAuthEmulator.start()) {
            // When
            other.refuseConnections();

            // Then
            RawClient asking = new RawClient(other);
            assertThatThrownBy(() -> asking.assumeRole("no token")).isInstanceOf(ConnectException.class);

            // When
            other.acceptConnections();

            // Then
            assertThat(asking.assumeRole("no token").statusCode()).isEqualTo(400);
        }
    }

    @Test
    void tellsWhatItIssuesAndToWhom() throws Exception {
        // Given
        List<Issued> told = new CopyOnWriteArrayList<>();
        try (EksAuthEmulator other = EksAuthEmulator.start()) {
            other.associate("default", "demo", "arn:aws:iam::123456789012:role/demo");
            other.onIssued(told::add);
            String token = other.tokens().mint("default", "demo", "demo-0");

            // When
            JsonObject credentials = new JsonObject(new RawClient(other).assumeRole(token).body()).getJsonObject("credentials");

            // Then
            assertThat(told).singleElement().satisfies(issued -> {
                assertThat(issued.token()).isEqualTo(token);
                assertThat(issued.serviceAccount()).isEqualTo("demo");
                assertThat(issued.account()).isEqualTo("123456789012");
                assertThat(issued.accessKeyId()).isEqualTo(credentials.getString("accessKeyId"));
                assertThat(issued.secretAccessKey()).isEqualTo(credentials.getString("secretAccessKey"));
                assertThat(issued.sessionToken()).isEqualTo(credentials.getString("sessionToken"));
                assertThat(issued.expiration().toEpochMilli() / 1000.0).isEqualTo(credentials.getDouble("expiration"));
                assertThat(issued.toString()).doesNotContain(issued.secretAccessKey(), issued.sessionToken(), token);
            });
        }
    }

    @Test
    void answersASignedCallWithEveryField() {
        // When
        AssumeRoleForPodIdentityResponse answer = assumeRole(token).join();

        // Then
        assertThat(answer.subject().namespace()).isEqualTo("default");
        assertThat(answer.subject().serviceAccount()).isEqualTo("demo");
        assertThat(answer.audience()).isEqualTo("pods.eks.amazonaws.com");
        assertThat(answer.podIdentityAssociation().associationId()).startsWith("a-");
        assertThat(answer.podIdentityAssociation().associationArn())
                .isEqualTo("arn:aws-cn:eks:us-west-2:123456789012:podidentityassociation/demo/"
                        + answer.podIdentityAssociation().associationId());
        assertThat(answer.assumedRoleUser().arn())
                .startsWith("arn:aws-cn:sts::123456789012:assumed-role/demo/eks-demo-demo-0-");
        assertThat(answer.assumedRoleUser().assumeRoleId()).contains(":eks-demo-demo-0-");
        Credentials credentials = answer.credentials();
        assertThat(credentials.accessKeyId()).matches("ASIA[A-Z2-7]{16}");
        assertThat(credentials.secretAccessKey()).startsWith("emulated-secret-").hasSize(40);
        assertThat(credentials.sessionToken()).startsWith("emulated-session-demo-demo-0-").hasSize(900);
        assertThat(credentials.expiration())
                .isCloseTo(Instant.now().plus(Duration.ofHours(6)), within(10, ChronoUnit.SECONDS));
    }

    @Test
    void givesEveryCallCredentialsOfItsOwn() {
        // When
        Credentials first = assumeRole(token).join().credentials();
        Credentials second = assumeRole(token).join().credentials();

        // Then
        assertThat(second.accessKeyId()).isNotEqualTo(first.accessKeyId());
        assertThat(second.secretAccessKey()).isNotEqualTo(first.secretAccessKey());
        assertThat(second.sessionToken()).isNotEqualTo(first.sessionToken());
    }

    @ParameterizedTest
    @EnumSource
    void answersWithTheErrorThatWasInjected(EksAuthError error) {
        // Given
        emulator.inject(new Fault.ErrorAnswer(error));

        // When
        EksAuthException failure = failure(assumeRole(token));

        // Then
        assertThat(failure.getClass().getSimpleName()).isEqualTo(error.type());
        assertThat(failure.statusCode()).isEqualTo(error.status());
        assertThat(failure.awsErrorDetails().errorMessage()).isEqualTo("Emulated " + error.type());
    }

    @Test
    void refusesAnotherSecret() {
        try (EksAuthAsyncClient other = client(emulator.region(), "another-secret")) {
            // When
            EksAuthException failure = failure(assumeRole(other, "demo", token));

            // Then
            assertThat(failure.statusCode()).isEqualTo(403);
            assertThat(failure.awsErrorDetails().errorCode()).isEqualTo("InvalidSignatureException");
        }
    }

    @Test
    void refusesAnotherRegion() {
        try (EksAuthAsyncClient other = client("us-east-1", emulator.secretAccessKey())) {
            // When
            EksAuthException failure = failure(assumeRole(other, "demo", token));

            // Then
            assertThat(failure.awsErrorDetails().errorCode()).isEqualTo("InvalidSignatureException");
            assertThat(failure.awsErrorDetails().errorMessage()).contains("us-east-1");
        }
    }

    @Test
    void doesNotKnowAnotherCluster() {
        assertThat(failure(assumeRole(client, "other", token)).awsErrorDetails().errorCode())
                .isEqualTo("ResourceNotFoundException");
    }

    @Test
    void doesNotKnowAServiceAccountThatIsNoLongerAssociated() {
        // Given
        emulator.disassociate("default", "demo");

        // When
        EksAuthException failure = failure(assumeRole(token));

        // Then
        assertThat(failure.statusCode()).isEqualTo(404);
        assertThat(failure.awsErrorDetails().errorCode()).isEqualTo("ResourceNotFoundException");
    }

    @Test
    void tellsAnExpiredTokenFromAnInvalidOne() {
        // Given
        TokenRequest request = emulator.tokens().request("default", "demo", "demo-0");
        String expired = emulator.tokens().mint(request.withIssuedAt(Instant.now().minus(Duration.ofDays(2))));
        String forAnother = emulator.tokens().mint(request.withAudience("vault"));

        // Then
        assertThat(failure(assumeRole(expired)).awsErrorDetails().errorCode()).isEqualTo("ExpiredTokenException");
        assertThat(failure(assumeRole(forAnother)).awsErrorDetails().errorCode()).isEqualTo("InvalidTokenException");
        assertThat(failure(assumeRole("no.token")).awsErrorDetails().errorCode()).isEqualTo("InvalidTokenException");
    }

    @Test
    void countsCallsByToken() {
        // Given
        String other = emulator.tokens().mint("default", "other", "other-0");

        // When
        assumeRole(token).join();
        assumeRole(token).join();
        failure(assumeRole(other));

        // Then
        assertThat(emulator.calls()).isEqualTo(3);
        assertThat(emulator.calls(token)).isEqualTo(2);
        assertThat(emulator.calls(other)).isEqualTo(1);
        assertThat(emulator.received()).extracting(ReceivedCall::token).containsExactly(token, token, other);

        // When
        emulator.resetCounts();

        // Then
        assertThat(emulator.calls()).isZero();
        assertThat(emulator.calls(token)).isZero();
        assertThat(emulator.received()).isEmpty();
    }

    @Test
    void holdsCallsUntilTheGateIsReleased() throws Exception {
        // Given
        Gate gate = emulator.hold();
        CompletableFuture<Void> arrived = emulator.whenCalls(5);
        List<CompletableFuture<AssumeRoleForPodIdentityResponse>> calls =
                Stream.generate(() -> assumeRole(token)).limit(5).toList();

        // When
        arrived.get(5, TimeUnit.SECONDS);

        // Then
        assertThat(calls).noneMatch(CompletableFuture::isDone);
        assertThat(emulator.inFlight()).isEqualTo(5);

        // When
        gate.release();
        calls.forEach(CompletableFuture::join);

        // Then
        assertThat(emulator.inFlight()).isZero();
        assertThat(emulator.maxInFlight()).isEqualTo(5);
    }

    @Test
    void appliesTheFaultThatIsThereWhenTheGateIsReleased() throws Exception {
        // Given
        Gate gate = emulator.hold();
        CompletableFuture<AssumeRoleForPodIdentityResponse> call = assumeRole(token);
        emulator.whenCalls(1).get(5, TimeUnit.SECONDS);

        // When
        emulator.inject(new Fault.ErrorAnswer(EksAuthError.THROTTLING));
        gate.release();

        // Then
        assertThat(failure(call).statusCode()).isEqualTo(429);
    }

    @Test
    void appliesAFaultToTheNextCallsOnly() {
        // Given
        emulator.inject(new Fault.ErrorAnswer(EksAuthError.THROTTLING), 2);
        emulator.inject(new Fault.ErrorAnswer(EksAuthError.SERVICE_UNAVAILABLE), 1);

        // Then
        assertThat(failure(assumeRole(token)).statusCode()).isEqualTo(429);
        assertThat(failure(assumeRole(token)).statusCode()).isEqualTo(429);
        assertThat(failure(assumeRole(token)).statusCode()).isEqualTo(503);
        assertThat(assumeRole(token).join().credentials()).isNotNull();
    }

    @Test
    void appliesAFaultToOneTokenOnly() {
        // Given
        emulator.injectFor(token, new Fault.ErrorAnswer(EksAuthError.ACCESS_DENIED));

        // Then
        assertThat(failure(assumeRole(token)).statusCode()).isEqualTo(400);
        assertThat(assumeRole(emulator.tokens().mint("default", "demo", "demo-1")).join().credentials()).isNotNull();
    }

    @Test
    void completesAtOnceForCallsThatHaveArrivedAlready() throws Exception {
        // Given
        assumeRole(token).join();

        // Then
        emulator.whenCalls(1).get(5, TimeUnit.SECONDS);
        assertThat(emulator.whenCalls(2)).isNotDone();
    }

    @Test
    void saysWhichPortIsTaken() throws Exception {
        // Given
        try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            EmulatorConfig config = EmulatorConfig.defaults().withPort(taken.getLocalPort());

            // Then
            assertThatThrownBy(() -> EksAuthEmulator.start(config).close())
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessage("Cannot listen on 127.0.0.1:" + taken.getLocalPort());
        }
    }

    private static CompletableFuture<AssumeRoleForPodIdentityResponse> assumeRole(String token) {
        return assumeRole(client, emulator.clusterName(), token);
    }

    private static CompletableFuture<AssumeRoleForPodIdentityResponse> assumeRole(
            EksAuthAsyncClient client, String cluster, String token) {
        return client.assumeRoleForPodIdentity(call -> call.clusterName(cluster).token(token));
    }

    private static EksAuthException failure(CompletableFuture<?> call) {
        return (EksAuthException) call.handle((answer, failure) -> failure.getCause()).join();
    }

    private static EksAuthAsyncClient client(String region, String secretAccessKey) {
        AwsCredentials node = AwsBasicCredentials.create(emulator.accessKeyId(), secretAccessKey);
        return EksAuthAsyncClient.builder()
                .endpointOverride(emulator.endpoint())
                .region(Region.of(region))
                .credentialsProvider(StaticCredentialsProvider.create(node))
                .overrideConfiguration(override -> override.retryStrategy(DefaultRetryStrategy.doNotRetry()))
                .build();
    }
}
