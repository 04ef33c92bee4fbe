package dev.podidentity.agent.doctor;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.apiserver.ApiAnswer;
import dev.podidentity.agent.eksauth.AwsSetup.Sourced;
import dev.podidentity.agent.testing.Certificates;
import dev.podidentity.agent.testing.ScriptedServer;
import dev.podidentity.emulator.EksAuthEmulator;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpServerOptions;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.regions.Region;

/** The one call to EKS Auth, and what is read in its answer. */
class EksAuthChecksTest {

    private static final Instant NOW = Instant.parse("2026-01-01T00:00:00Z");

    private final PatientWeb web = new PatientWeb();

    @AfterEach
    void stop() {
        web.close();
    }

    @Test
    void mayCallEksAuthWithTheNodesCredentials() {
        try (EksAuthEmulator emulator = EksAuthEmulator.start()) {
            // When
            EksAuthCall call = call(emulator.endpoint(), emulator.clusterName(), emulator.secretAccessKey(), Map.of());

            // Then
            assertThat(connection(call, emulator.endpoint())).containsExactly(Finding.ok("EKS Auth responds, without TLS"));
            assertThat(permission(call)).containsExactly(
                    Finding.ok("The agent is allowed to call EKS Auth, which rejected a made-up token (InvalidTokenException)"));
            assertThat(emulator.calls()).isOne();
        }
    }

    @Test
    void failsWithCredentialsThatEksAuthDoesNotAccept() {
        try (EksAuthEmulator emulator = EksAuthEmulator.start()) {
            EksAuthCall call = call(emulator.endpoint(), emulator.clusterName(), "another", Map.of());

            assertThat(permission(call)).singleElement().satisfies(finding -> {
                assertThat(finding.status()).isEqualTo(Status.FAIL);
                assertThat(finding.seen()).startsWith("EKS Auth does not accept the agent's own AWS credentials");
            });
        }
    }

    @Test
    void failsWithAClusterThatEksAuthDoesNotKnow() {
        try (EksAuthEmulator emulator = EksAuthEmulator.start()) {
            assertThat(permission(call(emulator.endpoint(), "misspelt", emulator.secretAccessKey(), Map.of()), "misspelt"))
                    .singleElement().satisfies(finding -> {
                        assertThat(finding.status()).isEqualTo(Status.FAIL);
                        assertThat(finding.seen()).contains("misspelt");
                    });
        }
    }

    @ParameterizedTest
    @CsvSource({
        "403, AccessDeniedException, FAIL, not allowed to call EKS Auth",
        "403, UnrecognizedClientException, FAIL, does not accept the agent's own AWS credentials",
        "400, ExpiredTokenException, OK, allowed to call EKS Auth",
        "400, 'InvalidTokenException:http://internal.amazon.com/', OK, allowed to call EKS Auth",
        "404, ResourceNotFoundException, FAIL, does not know a cluster demo",
        "429, ThrottlingException, WARN, HTTP 429 ThrottlingException",
        "500, InternalServerException, WARN, HTTP 500",
        "200, '', FAIL, 'HTTP 200, which is not a response of EKS Auth'",
        "302, '', FAIL, 'HTTP 302, which is not a response of EKS Auth'"
    })
    void tellsThePermissionFromTheRefusal(int status, String error, Status expected, String seen) {
        try (ScriptedServer server = new ScriptedServer()) {
            server.answer(request ->
                    request.response().putHeader("x-amzn-ErrorType", error).setStatusCode(status).end("{}"));
            assertThat(permission(call(server.url(), "demo", "secret", Map.of()))).singleElement().satisfies(finding -> {
                assertThat(finding.status()).isEqualTo(expected);
                assertThat(finding.seen()).contains(seen);
            });
        }
    }

    @Test
    void callsWithATokenThatNobodySignedAndSignsTheCall() {
        try (ScriptedServer server = new ScriptedServer()) {
            server.answer(400, "{}");
            call(server.url(), "demo", "secret", Map.of()).outcome();

            assertThat(server.received()).singleElement().satisfies(request -> {
                assertThat(request.path()).isEqualTo("/clusters/demo/assume-role-for-pod-identity");
                assertThat(request.getHeader("Authorization")).contains("AWS4-HMAC-SHA256", "/us-west-2/eks-auth/");
            });
        }
    }

    @Test
    void trustsAwsCaBundleAndNamesItWhereItIsMissing(@TempDir Path directory) throws IOException, InterruptedException {
        Certificates certificates = Certificates.make(directory, "ip:127.0.0.1");
        try (ScriptedServer server = new ScriptedServer("127.0.0.1", certificates.server())) {
            server.answer(400, "{}");
            Map<String, String> bundle = Map.of("AWS_CA_BUNDLE", certificates.authority().toString());

            assertThat(connection(call(server.url(), "demo", "secret", bundle), server.url(), bundle)).containsExactly(
                    Finding.ok("EKS Auth responds, with a certificate that is trusted by AWS_CA_BUNDLE"));
            assertThat(connection(call(server.url(), "demo", "secret", Map.of()), server.url())).singleElement().satisfies(finding -> {
                assertThat(finding.status()).isEqualTo(Status.FAIL);
                assertThat(finding.seen()).contains("certificate that is not trusted", "AWS_CA_BUNDLE");
            });
        }
    }

    @Test
    void goesThroughTheProxy() {
        try (ScriptedServer proxy = new ScriptedServer("127.0.0.1", new HttpServerOptions())) {
            proxy.answer(400, "{}");
            Map<String, String> environment = Map.of("HTTP_PROXY", proxy.url().toString());

            call(URI.create("http://eks-auth.test"), "demo", "secret", environment).outcome();

            assertThat(proxy.received()).singleElement().satisfies(request ->
                    assertThat(request.uri()).isEqualTo("http://eks-auth.test/clusters/demo/assume-role-for-pod-identity"));
        }
    }

    @Test
    void failsWhereEksAuthCannotBeReachedAndSkipsTheRest() {
        URI closed;
        try (ScriptedServer server = new ScriptedServer()) {
            closed = server.url();
        }
        EksAuthCall call = call(closed, "demo", "secret", Map.of());

        assertThat(connection(call, closed)).singleElement().satisfies(finding -> {
            assertThat(finding.status()).isEqualTo(Status.FAIL);
            assertThat(finding.seen()).contains("cannot be reached", "VPC endpoint");
        });
        assertThat(permission(call)).extracting(Finding::status).containsExactly(Status.SKIP);
        assertThat(new ClockCheck(call, Clock.systemUTC()).examine()).extracting(Finding::status).containsExactly(Status.SKIP);
    }

    @Test
    void skipsTheCallWithoutWhatItNeeds() {
        assertThat(outcome(AwsChecksTest.none(), Settings.with("cluster-name", "demo"))).contains("its endpoint is not known");
        assertThat(outcome(AwsChecksTest.aws("us-west-2", Optional.empty()), Settings.with())).contains("cluster's name");
    }

    @ParameterizedTest
    @CsvSource({
        "PT0S, OK, agrees",
        "PT59S, OK, agrees",
        "PT1M, WARN, 60 s ahead of",
        "PT-2M, WARN, 120 s behind",
        "PT5M, FAIL, AWS rejects",
        "PT-1H, FAIL, 3600 s behind"
    })
    void comparesTheClockWithEksAuths(Duration ahead, Status expected, String seen) {
        FakeWeb fake = new FakeWeb();
        fake.answer("POST http://eks-auth.test/clusters/demo/assume-role-for-pod-identity",
                new ApiAnswer(400, Buffer.buffer(), Optional.of("Thu, 01 Jan 2026 00:00:00 GMT")));
        AgentSettings settings = Settings.with("cluster-name", "demo", "endpoint", "http://eks-auth.test");
        AwsFacts aws = AwsChecksTest.aws("us-west-2", Optional.empty());
        EksAuthCall call = new EksAuthCall(fake, EksAuthPlace.of(aws, settings, Map.of()), aws, settings, Map.of());

        assertThat(new ClockCheck(call, Clock.fixed(NOW.plus(ahead), ZoneOffset.UTC)).examine()).singleElement().satisfies(finding -> {
            assertThat(finding.status()).isEqualTo(expected);
            assertThat(finding.seen()).contains(seen);
        });
    }

    private String outcome(AwsFacts aws, AgentSettings settings) {
        Finding finding = new EksAuthCall(web, EksAuthPlace.of(aws, settings, Map.of()), aws, settings, Map.of())
                .outcome().none().orElseThrow();
        assertThat(finding.status()).isEqualTo(Status.SKIP);
        return finding.seen();
    }

    private EksAuthCall call(URI endpoint, String cluster, String secret, Map<String, String> environment) {
        AgentSettings settings = Settings.with("cluster-name", cluster, "endpoint", endpoint.toString());
        AwsFacts aws = node(secret);
        return new EksAuthCall(web, EksAuthPlace.of(aws, settings, environment), aws, settings, environment);
    }

    /** Of the emulator. */
    private static AwsFacts node(String secret) {
        return new AwsFacts(
                () -> new Sourced<>(Optional.of(Region.US_WEST_2), "the environment", List.of()),
                () -> new Sourced<>(Optional.of(AwsBasicCredentials.create("AKIDEXAMPLE00000NODE", secret)), "the environment", List.of()));
    }

    private static List<Finding> permission(EksAuthCall call) {
        return permission(call, "demo");
    }

    private static List<Finding> permission(EksAuthCall call, String cluster) {
        return new PermissionCheck(call, Settings.with("cluster-name", cluster)).examine();
    }

    private static List<Finding> connection(EksAuthCall call, URI endpoint) {
        return connection(call, endpoint, Map.of());
    }

    private static List<Finding> connection(EksAuthCall call, URI endpoint, Map<String, String> environment) {
        return new ConnectionCheck(call, EksAuthPlace.of(
                node("secret"), Settings.with("endpoint", endpoint.toString()), environment)).examine();
    }
}
