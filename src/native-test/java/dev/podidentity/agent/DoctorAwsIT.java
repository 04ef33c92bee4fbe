package dev.podidentity.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import dev.podidentity.agent.testing.Certificates;
import dev.podidentity.agent.testing.ScriptedServer;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.json.JsonObject;
import java.io.IOException;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** {@code doctor} with stand-ins for AWS services, with and without faults. */
class DoctorAwsIT {

    private static final String SECRET_KEY = "secret-access-key-of-the-node";
    private static final String POD = """
            {"metadata":{"namespace":"shop","name":"cart-0","creationTimestamp":"2026-01-01T00:00:00Z"},
             "spec":{"serviceAccountName":"cart","nodeName":"node-1","containers":[{"name":"app"}]}}""";
    private static final String TRUST = """
            {"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"pods.eks.amazonaws.com"},
             "Action":["sts:AssumeRole","sts:TagSession"]}]}""";

    private final ScriptedServer eksAuth = new ScriptedServer();
    private final ScriptedServer api = new ScriptedServer();
    private final ScriptedServer eks = new ScriptedServer();
    private final ScriptedServer iam = new ScriptedServer();
    private final Map<String, String> environment = new HashMap<>();

    @TempDir
    private Path directory;

    @BeforeEach
    void start() {
        environment.putAll(Map.of(
                "AWS_REGION", "us-west-2",
                "AWS_ACCESS_KEY_ID", "AKIAEXAMPLE",
                "AWS_SECRET_ACCESS_KEY", SECRET_KEY,
                "AWS_EC2_METADATA_DISABLED", "true",
                "HOME", directory.toString()));
        eksAuth.answer(error(400, "InvalidTokenException"));
    }

    @AfterEach
    void stop() {
        List.of(eksAuth, api, eks, iam).forEach(ScriptedServer::close);
    }

    static Stream<Arguments> answers() {
        return Stream.of(
                arguments(400, "InvalidTokenException", "ok: The agent is allowed to call EKS Auth"),
                arguments(403, "AccessDeniedException", "fail: The node's role is not allowed to call EKS Auth"),
                arguments(403, "UnrecognizedClientException", "fail: EKS Auth does not accept the agent's own AWS credentials"),
                arguments(403, "InvalidSignatureException", "fail: EKS Auth does not accept the agent's own AWS credentials"),
                arguments(404, "ResourceNotFoundException", "fail: EKS Auth does not know a cluster prod"),
                arguments(429, "ThrottlingException", "warn: EKS Auth responds with HTTP 429 ThrottlingException"),
                arguments(500, "InternalServerException", "warn: EKS Auth responds with HTTP 500 InternalServerException"),
                arguments(418, "", "fail: EKS Auth responds with HTTP 418, which is not a response of EKS Auth"));
    }

    @ParameterizedTest
    @MethodSource("answers")
    void tellsFromTheRefusalOfAMadeUpTokenWhetherEksAuthMayBeCalled(int status, String type, String expected) {
        eksAuth.answer(error(status, type));

        assertThat(diagnoseNode().of("permission")).singleElement().asString().startsWith(expected);
        assertThat(eksAuth.received()).singleElement().satisfies(request -> {
            assertThat(request.path()).isEqualTo("/clusters/prod/assume-role-for-pod-identity");
            assertThat(request.getHeader("Authorization")).startsWith("AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/")
                    .contains("/us-west-2/eks-auth/aws4_request");
        });
    }

    static Stream<Arguments> clocks() {
        return Stream.of(
                arguments(0, "ok: "),
                arguments(-120, "warn: This node's clock is 1"),
                arguments(120, "warn: This node's clock is 1"),
                arguments(-3600, "fail: This node's clock is 3"),
                arguments(3600, "fail: This node's clock is 3"));
    }

    @ParameterizedTest
    @MethodSource("clocks")
    void comparesTheClockWithEksAuths(int offset, String expected) {
        eksAuth.answer(request -> {
            request.response().putHeader("Date", DateTimeFormatter.RFC_1123_DATE_TIME.format(
                    Instant.now().plusSeconds(offset).atOffset(ZoneOffset.UTC)));
            error(400, "InvalidTokenException").accept(request);
        });

        String line = diagnoseNode().of("clock").get(0);

        assertThat(line).startsWith(expected);
        if (offset != 0) {
            assertThat(line).contains(offset < 0 ? "ahead of EKS Auth's" : "behind EKS Auth's", "chronyd");
        }
    }

    @Test
    void trustsOnlyTheAuthorityThatIsConfigured() throws IOException, InterruptedException {
        Certificates certificates = Certificates.make(directory, "ip:127.0.0.1");
        try (ScriptedServer secure = new ScriptedServer("127.0.0.1", certificates.server())) {
            secure.answer(error(400, "InvalidTokenException"));

            Diagnosis without = diagnoseNode("--endpoint", secure.url().toString());
            environment.put("AWS_CA_BUNDLE", certificates.authority().toString());
            Diagnosis with = diagnoseNode("--endpoint", secure.url().toString());

            assertThat(without.of("eks-auth")).singleElement().asString()
                    .startsWith("fail: EKS Auth at 127.0.0.1 presented a certificate that is not trusted: set AWS_CA_BUNDLE");
            assertThat(without.of("permission")).singleElement().asString().startsWith("skip: ");
            assertThat(with.of("eks-auth")).containsExactly(
                    "ok: EKS Auth responds, with a certificate that is trusted by AWS_CA_BUNDLE");
        }
    }

    @Test
    void refusesACertificateOfAnotherName() throws IOException, InterruptedException {
        Certificates certificates = Certificates.make(directory, "ip:127.0.0.9");
        environment.put("AWS_CA_BUNDLE", certificates.authority().toString());
        try (ScriptedServer secure = new ScriptedServer("127.0.0.1", certificates.server())) {
            secure.answer(error(400, "InvalidTokenException"));

            assertThat(diagnoseNode("--endpoint", secure.url().toString()).of("eks-auth")).singleElement().asString()
                    .startsWith("fail: ");
            assertThat(secure.received()).isEmpty();
        }
    }

    @Test
    void namesAProxyThatRefusesConnections() throws IOException {
        int closed = FreePorts.take(1).get(0);
        environment.put("HTTPS_PROXY", "http://user:proxy-password@127.0.0.1:" + closed);

        Diagnosis diagnosis = diagnoseNode("--endpoint", "https://eks-auth.us-west-2.api.aws");

        assertThat(diagnosis.of("proxy")).singleElement().asString()
                .startsWith("fail: The proxy 127.0.0.1:" + closed).contains("NO_PROXY");
        assertThat(diagnosis.of("eks-auth")).singleElement().asString().startsWith("fail: ");
        assertThat(diagnosis.findings().toString()).doesNotContain("proxy-password");
    }

    @Test
    void reportsAServerThatNeverAnswers() {
        eksAuth.answer(request -> { });

        assertThat(diagnoseNode().of("eks-auth")).singleElement().asString().startsWith("fail: EKS Auth at 127.0.0.1");
    }

    @Test
    void namesTheSourcesThatHaveNoRegionAndNoCredentials() {
        environment.keySet().removeIf(name -> name.startsWith("AWS_") && !name.equals("AWS_EC2_METADATA_DISABLED"));

        Diagnosis diagnosis = diagnoseNode();

        assertThat(diagnosis.exitCode()).isEqualTo(2);
        assertThat(diagnosis.of("region")).singleElement().asString().startsWith("fail: No region is known").contains("AWS_REGION");
        assertThat(diagnosis.of("credentials")).singleElement().asString()
                .startsWith("fail: The agent has no AWS credentials of its own").contains("shared config and credentials files");
        assertThat(eksAuth.received()).isEmpty();
    }

    @Test
    void readsTheSharedCredentialsFile() throws IOException {
        environment.remove("AWS_ACCESS_KEY_ID");
        environment.remove("AWS_SECRET_ACCESS_KEY");
        environment.put("AWS_SHARED_CREDENTIALS_FILE", Files.writeString(directory.resolve("credentials"), """
                [default]
                aws_access_key_id = AKIAOFTHEFILE
                aws_secret_access_key = %s
                """.formatted(SECRET_KEY)).toString());

        assertThat(diagnoseNode().of("credentials")).singleElement().asString()
                .startsWith("ok: ").contains("shared", "AKIAOFTHEFILE");
    }

    @Test
    void readsTheAssociationOverAllPagesAndTheTrustPolicyOfItsRole() {
        // Given
        servePod();
        eks.answer(DoctorAwsIT::associations);
        iam.answer(request -> role(request, TRUST));

        // When
        Diagnosis diagnosis = diagnoseAssociation();

        // Then
        assertThat(diagnosis.of("association")).containsExactly(
                "ok: The service account shop/cart has the association a-2 with arn:aws:iam::123456789012:role/teams/cart",
                "ok: The role trusts pods.eks.amazonaws.com with sts:AssumeRole and sts:TagSession");
        assertThat(eks.received()).extracting(HttpServerRequest::uri).containsExactly(
                "/clusters/prod/pod-identity-associations?maxResults=100&namespace=shop&serviceAccount=cart",
                "/clusters/prod/pod-identity-associations?maxResults=100&namespace=shop&serviceAccount=cart&nextToken=second%2Fpage",
                "/clusters/prod/pod-identity-associations/a-2");
    }

    @Test
    void saysWhatTheTrustPolicyLacks() {
        servePod();
        eks.answer(DoctorAwsIT::associations);
        iam.answer(request -> role(request, TRUST.replace(",\"sts:TagSession\"", "")));

        assertThat(diagnoseAssociation().of("association")).last().asString().startsWith("fail: ").contains("sts:TagSession");
    }

    @Test
    void skipsWhatTheCallerMayNotRead() {
        // Given
        servePod();
        eks.answer(DoctorAwsIT::associations);
        iam.answer(request -> request.response().setStatusCode(403).end("""
                <ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Type>Sender</Type>
                <Code>AccessDenied</Code><Message>not authorized</Message></Error></ErrorResponse>"""));

        // Then
        assertThat(diagnoseAssociation().of("association")).last().asString().startsWith("skip: ").contains("iam:GetRole");

        // When
        eks.answer(error(403, "AccessDeniedException"));

        // Then
        assertThat(diagnoseAssociation().of("association")).singleElement().asString()
                .startsWith("skip: ").contains("eks:ListPodIdentityAssociations");
    }

    @Test
    void listsWhatStillUsesIrsaAndHowToMoveIt() {
        // Given
        api.answer(request -> request.response().putHeader("Content-Type", "application/json").end(switch (request.path()) {
            case "/api/v1/serviceaccounts" -> """
                    {"items":[
                      {"metadata":{"namespace":"shop","name":"cart",
                       "annotations":{"eks.amazonaws.com/role-arn":"arn:aws:iam::123456789012:role/teams/cart"}}},
                      {"metadata":{"namespace":"shop","name":"orders",
                       "annotations":{"eks.amazonaws.com/role-arn":"arn:aws:iam::123456789012:role/orders"}}},
                      {"metadata":{"namespace":"shop","name":"other"}}]}""";
            default -> "{\"items\":[]}";
        }));
        eks.answer(DoctorAwsIT::associations);

        // When
        Diagnosis diagnosis = diagnose("irsa", "--cluster-name", "prod");

        // Then
        assertThat(diagnosis.exitCode()).isEqualTo(1);
        assertThat(diagnosis.of("irsa"))
                .anySatisfy(line -> assertThat(line).contains("shop/orders", "aws eks create-pod-identity-association"
                        + " --cluster-name prod --namespace shop --service-account orders"
                        + " --role-arn arn:aws:iam::123456789012:role/orders", "pods.eks.amazonaws.com"))
                .anySatisfy(line -> assertThat(line).contains("shop/cart").doesNotContain("create-pod-identity-association"))
                .noneSatisfy(line -> assertThat(line).contains("shop/other"));
    }

    /** Responds with two pages, the second of which contains the association. */
    private static void associations(HttpServerRequest request) {
        String answer;
        if (request.path().endsWith("/a-2")) {
            answer = "{\"association\":{\"clusterName\":\"prod\",\"namespace\":\"shop\",\"serviceAccount\":\"cart\","
                    + "\"roleArn\":\"arn:aws:iam::123456789012:role/teams/cart\",\"associationId\":\"a-2\","
                    + "\"createdAt\":1.735689600123E9}}";
        } else if ("second/page".equals(request.getParam("nextToken"))) {
            answer = "{\"associations\":[{\"clusterName\":\"prod\",\"namespace\":\"shop\",\"serviceAccount\":\"cart\","
                    + "\"associationId\":\"a-2\"}]}";
        } else {
            answer = "{\"associations\":[],\"nextToken\":\"second/page\"}";
        }
        request.response().putHeader("Content-Type", "application/json").end(answer);
    }

    /** IAM responds in XML by default, and in JSON on request. */
    private static void role(HttpServerRequest request, String trust) {
        String policy = URLEncoder.encode(trust, StandardCharsets.UTF_8);
        if (String.valueOf(request.getHeader("Accept")).contains("application/json")) {
            request.response().end(new JsonObject().put("GetRoleResponse", new JsonObject().put("GetRoleResult",
                    new JsonObject().put("Role", new JsonObject().put("AssumeRolePolicyDocument", policy)))).encode());
            return;
        }
        request.response().putHeader("Content-Type", "text/xml").end("""
                <GetRoleResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><GetRoleResult><Role>
                <Path>/teams/</Path><AssumeRolePolicyDocument>%s</AssumeRolePolicyDocument><RoleName>cart</RoleName>
                </Role></GetRoleResult></GetRoleResponse>""".formatted(policy));
    }

    private void servePod() {
        api.answer(request -> {
            boolean pod = request.path().equals("/api/v1/namespaces/shop/pods/cart-0");
            request.response().putHeader("Content-Type", "application/json").end(pod ? POD : "{\"items\":[]}");
        });
    }

    private static Consumer<HttpServerRequest> error(int status, String type) {
        return request -> request.response()
                .setStatusCode(status)
                .putHeader("x-amzn-ErrorType", type)
                .end("{\"message\":\"as a test says\"}");
    }

    private Diagnosis diagnoseNode(String... arguments) {
        List<String> all = new ArrayList<>(List.of("--cluster-name", "prod", "--endpoint", eksAuth.url().toString()));
        all.addAll(Arrays.asList(arguments));
        return Diagnosis.of(AgentProcess.command(), environment, List.of(SECRET_KEY), all.toArray(String[]::new));
    }

    private Diagnosis diagnoseAssociation() {
        return diagnose("--pod", "shop/cart-0", "--association", "--cluster-name", "prod");
    }

    private Diagnosis diagnose(String... arguments) {
        environment.put("AGENT_API_SERVER", api.url().toString());
        environment.put("AWS_ENDPOINT_URL_EKS", eks.url().toString());
        environment.put("AWS_ENDPOINT_URL_IAM", iam.url().toString());
        return Diagnosis.of(AgentProcess.command(), environment, List.of(SECRET_KEY), arguments);
    }
}
