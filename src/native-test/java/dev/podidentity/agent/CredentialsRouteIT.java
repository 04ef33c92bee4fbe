package dev.podidentity.agent;

import static dev.podidentity.agent.RawHttp.exchange;
import static dev.podidentity.agent.RawHttp.request;
import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.emulator.EksAuthEmulator;
import io.vertx.core.json.JsonObject;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.Base64;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The responses of the credentials listener to various requests. */
class CredentialsRouteIT {

    private static final String HOST = "Host: 169.254.170.23";
    private static final int HEADER_LIMIT = 32 * 1024;

    private static EksAuthEmulator emulator;
    private static AgentProcess agent;
    private static String token;

    @BeforeAll
    static void start() throws IOException {
        emulator = Emulators.start();
        agent = AgentProcess.start(emulator, "--allowed-hosts", "agent.internal");
        token = Emulators.token(emulator, "demo-0");
        // Not under test: the first call on a cold JVM is slow.
        RawHttp.askAsSdk(agent.port(), token);
    }

    @AfterAll
    static void stop() {
        agent.close();
        emulator.close();
    }

    @Test
    void answersWithWhatEveryAwsSdkReads() throws IOException {
        // When
        RawHttp.Answer answer = exchange(agent.port(), request(token));

        // Then
        assertThat(answer.statusLine()).isEqualTo("HTTP/1.1 200 OK");
        assertThat(answer.headers())
                .containsExactly(
                        "Content-Type: application/json",
                        "Cache-Control: no-store",
                        "content-length: " + answer.body().length());
        JsonObject body = new JsonObject(answer.body());
        assertThat(body.fieldNames())
                .containsExactly("AccessKeyId", "SecretAccessKey", "Token", "AccountId", "Expiration");
        assertThat(body.stream().map(member -> member.getValue())).allSatisfy(value ->
                assertThat(value).isInstanceOf(String.class).asString().isNotEmpty());
        assertThat(body.getString("AccountId")).isEqualTo("123456789012");
        assertThat(body.getString("Expiration")).matches("\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ");
        assertThat(Instant.parse(body.getString("Expiration"))).isAfter(Instant.now().plus(Duration.ofHours(5)));
    }

    @Test
    void answersTheSameTokenWithTheSameBytes() throws IOException {
        String first = exchange(agent.port(), request(token)).body();

        assertThat(exchange(agent.port(), request(token)).body()).isEqualTo(first);
    }

    @Test
    void answersHeadWithTheHeadersOfGet() throws IOException {
        // Given
        RawHttp.Answer get = exchange(agent.port(), request(token));

        // When
        try (RawHttp http = new RawHttp(agent.port())) {
            http.send(request("HEAD", "/v1/credentials", HOST, "Authorization: " + token, "Connection: close"));
            RawHttp.Answer head = http.answer(true);

            // Then
            assertThat(head.status()).isEqualTo(200);
            assertThat(head.header("content-type")).contains("application/json");
            assertThat(head.header("content-length")).isEqualTo(get.header("content-length"));
            assertThat(http.closedByPeer()).as("no body follows").isTrue();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"Authorization: %s", "Authorization:  %s  ", "Authorization: \t%s\t", "authorization: %s",
            "Authorization: Bearer %s", "Authorization: bearer %s", "Authorization: Bearer   %s "})
    void acceptsTheTokenAsPeopleSendIt(String header) throws IOException {
        assertThat(exchange(agent.port(), request("GET", "/v1/credentials", HOST, header.formatted(token))).status())
                .isEqualTo(200);
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "Host: 169.254.170.23", "Host: 169.254.170.23:80", "Host: 169.254.170.23:8080", "Host: fd00:ec2::23",
        "Host: [fd00:ec2::23]", "Host: [fd00:ec2::23]:80", "Host: [FD00:0EC2:0:0:0:0:0:23]",
        "Host: fd00:0ec2:0000:0000:0000:0000:0000:0023", "Host: agent.internal", "Host: AGENT.internal:80"
    })
    void acceptsItsOwnHosts(String host) throws IOException {
        assertThat(exchange(agent.port(), request("GET", "/v1/credentials", host, "Authorization: " + token)).status())
                .isEqualTo(200);
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "Host: 127.0.0.1", "Host: localhost", "Host: evil.example", "Host: 169.254.170.23.evil.example",
        "Host: 169.254.170.24", "Host: 169.254.170.23:http", "Host: 169.254.170.23:", "Host: fd00:ec2::24",
        "Host: [fd00:ec2::23", "Host: [fd00:ec2::23]x", "Host: ", "X-Not-Host: 169.254.170.23",
        "Host: 169.254.170.23\r\nHost: evil.example", "Host: user@169.254.170.23"
    })
    void refusesOtherHostsBeforeItLooksAtTheToken(String host) throws IOException {
        RawHttp.Answer answer = exchange(agent.port(), request("GET", "/v1/credentials", host));

        assertError(answer, 403, "AccessDeniedException");
    }

    @Test
    void judgesAnAbsoluteTargetByItsOwnHost() throws IOException {
        assertThat(exchange(agent.port(), request("GET", "http://169.254.170.23/v1/credentials",
                        "Host: evil.example", "Authorization: " + token)).status())
                .isEqualTo(200);
        assertError(exchange(agent.port(), request("GET", "http://evil.example/v1/credentials",
                HOST, "Authorization: " + token)), 403, "AccessDeniedException");
        assertError(exchange(agent.port(), request("GET", "http://user@169.254.170.23/v1/credentials",
                HOST, "Authorization: " + token)), 403, "AccessDeniedException");
    }

    @ParameterizedTest
    @ValueSource(strings = {"/v1/credentials?a=b", "/v1/credentials?", "http://169.254.170.23:80/v1/credentials?x",
            "HTTP://169.254.170.23/v1/credentials"})
    void ignoresAQuery(String target) throws IOException {
        assertThat(exchange(agent.port(), request("GET", target, HOST, "Authorization: " + token)).status())
                .isEqualTo(200);
    }

    @ParameterizedTest
    @ValueSource(strings = {"/", "//v1/credentials", "/v1/credentials/", "/v1//credentials", "/V1/credentials",
            "/v1/credentials;a=b", "/v1/%63redentials", "/v1/../v1/credentials", "/v1", "*", "http://169.254.170.23",
            "/metrics", "/healthz"})
    void answers404ToOtherPathsAndNeverRedirects(String target) throws IOException {
        RawHttp.Answer answer = exchange(agent.port(), request("GET", target, HOST, "Authorization: " + token));

        assertError(answer, 404, "ResourceNotFoundException");
        assertThat(answer.header("location")).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(strings = {"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "FOO", "get"})
    void answers405ToOtherMethods(String method) throws IOException {
        RawHttp.Answer answer =
                exchange(agent.port(), request(method, "/v1/credentials", HOST, "Authorization: " + token));

        assertError(answer, 405, "InvalidRequestException");
        assertThat(answer.header("allow")).contains("GET, HEAD");
    }

    @ParameterizedTest
    @MethodSource("badTokens")
    void answers400ToWhatIsNoTokenForIt(String what, String authorization, String code, String says) throws IOException {
        RawHttp.Answer answer = exchange(agent.port(), request("GET", "/v1/credentials", HOST, authorization));

        assertError(answer, 400, code);
        assertThat(new JsonObject(answer.body()).getString("message")).contains(says);
    }

    static Stream<Arguments> badTokens() {
        String claims = "{\"aud\":\"pods.eks.amazonaws.com\",\"exp\":9999999999}";
        String good = "{\"alg\":\"RS256\"}";
        return Stream.of(
                bad("none", "X-Other: x", "missing"),
                bad("empty", "Authorization: ", "empty"),
                bad("blank", "Authorization: \t ", "empty"),
                bad("a scheme alone", "Authorization: Bearer", "empty"),
                bad("repeated", "Authorization: a.b.c\r\nAuthorization: a.b.c", "repeated"),
                bad("one part", "Authorization: abc", "1 parts"),
                bad("four parts", "Authorization: a.b.c.d", "4 parts"),
                bad("not base64url", "Authorization: a+b.c.d", "base64url"),
                bad("no JSON", "Authorization: " + jwt("{", claims), "header is not JSON"),
                bad("header an array", "Authorization: " + jwt("[]", claims), "header is not a JSON object"),
                bad("claims a string", "Authorization: " + jwt(good, "\"x\""), "claims is not a JSON object"),
                bad("alg missing", "Authorization: " + jwt("{}", claims), "no alg"),
                bad("alg none", "Authorization: " + jwt("{\"alg\":\"none\"}", claims), "alg is none"),
                bad("alg HMAC", "Authorization: " + jwt("{\"alg\":\"HS256\"}", claims), "HMAC"),
                bad("exp missing", "Authorization: " + jwt(good, "{\"aud\":\"pods.eks.amazonaws.com\"}"), "no exp"),
                bad("exp a string", "Authorization: "
                        + jwt(good, "{\"aud\":\"pods.eks.amazonaws.com\",\"exp\":\"1\"}"), "exp is not a number"),
                bad("nbf ahead", "Authorization: " + jwt(good,
                        "{\"aud\":\"pods.eks.amazonaws.com\",\"exp\":9999999999,\"nbf\":9999999998}"), "not valid before"),
                bad("other audience", "Authorization: " + jwt(good, "{\"aud\":\"sts.amazonaws.com\",\"exp\":9999999999}"),
                        "audience"),
                Arguments.of("expired", "Authorization: "
                                + jwt(good, "{\"aud\":[\"pods.eks.amazonaws.com\"],\"exp\":1700000000}"),
                        "ExpiredTokenException", "2023-11-14T22:13:20Z"));
    }

    private static Arguments bad(String what, String authorization, String says) {
        return Arguments.of(what, authorization, "InvalidTokenException", says);
    }

    private static String jwt(String header, String claims) {
        Base64.Encoder encoder = Base64.getUrlEncoder().withoutPadding();
        return encoder.encodeToString(header.getBytes(StandardCharsets.UTF_8)) + '.'
                + encoder.encodeToString(claims.getBytes(StandardCharsets.UTF_8)) + ".c2ln";
    }

    @Test
    void answers431ToHeadersOver32KiBAndCloses() throws IOException {
        try (RawHttp http = new RawHttp(agent.port())) {
            // When
            http.send(request("GET", "/v1/credentials", HOST, "Authorization: " + "x".repeat(HEADER_LIMIT)));
            RawHttp.Answer answer = http.answer();

            // Then
            assertError(answer, 431, "InvalidRequestException");
            assertThat(http.closedByPeer()).isTrue();
        }
    }

    @Test
    void takesATokenOfManyKiB() throws IOException {
        String padded = request("GET", "/v1/credentials", HOST, "X-Padding: " + "x".repeat(HEADER_LIMIT / 2),
                "Authorization: " + token);

        assertThat(exchange(agent.port(), padded).status()).isEqualTo(200);
    }

    @ParameterizedTest
    @ValueSource(strings = {"Content-Length: 5", "Transfer-Encoding: chunked", "Content-Length: 99999999999"})
    void refusesABodyAndCloses(String header) throws IOException {
        try (RawHttp http = new RawHttp(agent.port())) {
            // When
            http.send(request("GET", "/v1/credentials", HOST, "Authorization: " + token, header));
            RawHttp.Answer answer = http.answer();

            // Then
            assertError(answer, 413, "InvalidRequestException");
            assertThat(http.closedByPeer()).isTrue();
        }
    }

    @Test
    void takesAnEmptyBody() throws IOException {
        assertThat(exchange(agent.port(), request("GET", "/v1/credentials", HOST, "Authorization: " + token,
                        "Content-Length: 0")).status())
                .isEqualTo(200);
    }

    @ParameterizedTest
    @ValueSource(strings = {"GARBAGE\r\n\r\n", "GET /v1/credentials HTTP/9.9\r\n\r\n", "GET\r\n\r\n",
            "GET /v1/credentials HTTP/1.1\r\nHost: 169.254.170.23\r\nContent-Length: abc\r\n\r\n"})
    void answersWhatIsNoHttpWithADefinedErrorAndCloses(String request) throws IOException {
        try (RawHttp http = new RawHttp(agent.port())) {
            // When
            http.send(request);
            RawHttp.Answer answer = http.answer();

            // Then
            assertThat(answer.status()).isIn(400, 403, 413);
            assertThat(answer.header("content-type")).contains("application/json");
            assertThat(http.closedByPeer()).isTrue();
        }
    }

    @Test
    void servesManyRequestsOnOneConnection() throws IOException {
        try (RawHttp http = new RawHttp(agent.port())) {
            for (int i = 0; i < 20; i++) {
                assertThat(http.send(request(token)).answer().status()).isEqualTo(200);
            }
        }
    }

    @Test
    void servesPipelinedRequestsInOrder() throws IOException {
        try (RawHttp http = new RawHttp(agent.port())) {
            http.send(request(token) + request("GET", "/other", HOST) + request(token));

            assertThat(List.of(http.answer().status(), http.answer().status(), http.answer().status()))
                    .containsExactly(200, 404, 200);
        }
    }

    private static void assertError(RawHttp.Answer answer, int status, String code) {
        assertThat(answer.status()).isEqualTo(status);
        assertThat(answer.header("content-type")).contains("application/json");
        assertThat(answer.header("cache-control")).contains("no-store");
        JsonObject body = new JsonObject(answer.body());
        String message = body.getString("message");
        assertThat(answer.body()).isEqualTo(new JsonObject()
                .put("code", code)
                .put("message", message)
                .put("Code", code)
                .put("Message", message)
                .encode());
        assertThat(message).isNotBlank().doesNotContain("Exception", "\tat ");
    }
}
