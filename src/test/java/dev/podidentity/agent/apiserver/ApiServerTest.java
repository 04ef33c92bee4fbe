package dev.podidentity.agent.apiserver;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.observe.BuildInfo;
import dev.podidentity.agent.outbound.CallFailure;
import dev.podidentity.agent.testing.LogLines;
import dev.podidentity.agent.testing.LoopFixture;
import dev.podidentity.agent.testing.ScriptedServer;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.impl.HttpClientRequestImpl;
import io.vertx.core.json.JsonObject;
import io.vertx.core.net.NetServer;
import java.io.IOException;
import java.net.ServerSocket;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ApiServerTest {

    private static final String JSON = "application/json";
    private static final int MIB = 1024 * 1024;

    @TempDir
    private Path account;

    private final LoopFixture fixture = new LoopFixture();
    private final ScriptedServer server = new ScriptedServer();
    private ApiServer api;

    @BeforeEach
    void connect() {
        api = fixture.api(server.url(), account);
    }

    @AfterEach
    void close() {
        fixture.close();
        server.close();
    }

    @Test
    void getsWhatIsAsked() {
        // Given
        List<String> asked = new ArrayList<>();
        server.answer(request -> {
            asked.add(request.method() + " " + request.uri() + " " + request.getHeader("Accept"));
            request.response().end("{\"kind\":\"PodList\"}");
        });

        // When
        ApiAnswer answer = fixture.result(() -> api.get("/api/v1/pods?limit=1", JSON));

        // Then
        assertThat(asked).containsExactly("GET /api/v1/pods?limit=1 application/json");
        assertThat(answer.status()).isEqualTo(200);
        assertThat(answer.ok()).isTrue();
        assertThat(answer.body()).hasToString("{\"kind\":\"PodList\"}");
        assertThat(answer).hasToString("ApiAnswer[200, 18 bytes]");
    }

    @Test
    void postsAndPatches() {
        // Given
        List<String> sent = new ArrayList<>();
        server.answer(request -> request.body().onSuccess(body -> {
            sent.add(request.method() + " " + request.uri() + " " + request.getHeader("Content-Type") + " " + body);
            request.response().setStatusCode(201).end();
        }));

        // When
        ApiAnswer posted = fixture.result(() -> api.post("/events", new JsonObject().put("a", 1)));
        ApiAnswer patched = fixture.result(() -> api.patch("/nodes/n", "application/json-patch+json", Buffer.buffer("[]")));

        // Then
        assertThat(sent).containsExactly(
                "POST /events application/json {\"a\":1}", "PATCH /nodes/n application/json-patch+json []");
        assertThat(posted.status()).isEqualTo(201);
        assertThat(patched.ok()).isTrue();
    }

    @Test
    void namesTheAgentAndItsVersion() {
        server.answer(200, "{}");

        fixture.result(() -> api.get("/api", JSON));
        fixture.result(() -> api.post("/events", new JsonObject()));

        assertThat(server.received()).extracting(request -> request.getHeader("User-Agent"))
                .containsOnly("eks-pod-identity-agent/" + BuildInfo.current().version());
    }

    @Test
    void givesTheTimeOfTheServer() {
        server.answer(request -> request.response().putHeader("Date", "Thu, 01 Jan 2026 00:00:05 GMT").end());

        assertThat(fixture.result(() -> api.get("/api", JSON)).at()).contains(Instant.parse("2026-01-01T00:00:05Z"));
    }

    @Test
    void givesNoTimeOfAServerThatDoesNotSayIt() {
        server.answer(200, "{}");

        assertThat(fixture.result(() -> api.get("/api", JSON)).at()).isEmpty();
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', emptyValue = "", value = {
        "{\"kind\":\"Status\",\"message\":\"denied\"} | denied",
        "{\"message\":{}} | ''",
        "{} | ''",
        "denied | ''",
        "'' | ''"})
    void givesTheReasonOfABadAnswer(String body, String reason) {
        server.answer(422, body);

        assertThat(fixture.result(() -> api.get("/api", JSON)).reason()).isEqualTo(reason);
    }

    @Test
    void keepsThePathOfItsUrl() {
        server.answer(request -> request.response().end(request.uri()));
        ApiServer behindAPath = fixture.api(server.url().resolve("/k8s/clusters/c-1/"), account);

        ApiAnswer answer = fixture.result(() -> behindAPath.get("/api", JSON));

        assertThat(answer.body()).hasToString("/k8s/clusters/c-1/api");
    }

    @Test
    void givesAnswersOfAnyStatus() {
        server.answer(403, "{\"kind\":\"Status\"}");

        ApiAnswer answer = fixture.result(() -> api.get("/api", JSON));

        assertThat(answer.status()).isEqualTo(403);
        assertThat(answer.ok()).isFalse();
        assertThat(answer.refused()).isTrue();
        assertThat(answer.body()).hasToString("{\"kind\":\"Status\"}");
    }

    @Test
    void followsNoRedirect() {
        server.answer(request -> request.response()
                .setStatusCode(302).putHeader("Location", server.url() + "/elsewhere").end());

        ApiAnswer answer = fixture.result(() -> api.get("/api", JSON));

        assertThat(answer.status()).isEqualTo(302);
        assertThat(server.received()).hasSize(1);
    }

    @Test
    void sendsNoTokenInPlainText() throws IOException {
        Files.writeString(account.resolve("token"), "secret");
        server.answer(200, "{}");

        fixture.result(() -> api.get("/api", JSON));

        assertThat(server.received().get(0).getHeader("Authorization")).isNull();
    }

    @Test
    void givesUpAfterFiveSeconds() {
        // Given
        CompletableFuture<Void> closed = new CompletableFuture<>();
        server.answer(request -> request.connection().closeHandler(gone -> closed.complete(null)));
        CompletableFuture<ApiAnswer> outcome = fixture.outcome(() -> api.get("/api", JSON));
        fixture.until(() -> server.received().size() == 1);

        // When
        fixture.advance(Duration.ofMillis(4_999));
        assertThat(outcome).isNotDone();
        fixture.advance(Duration.ofMillis(1));

        // Then
        assertThat(fixture.failure(outcome)).hasMessage("The API server at " + server.url() + " did not respond in time: check"
                + " --api-server, and that this node can reach it");
        closed.join();
        assertThat(fixture.<Integer>call(() -> fixture.time.pending())).isZero();
    }

    @Test
    void givesUpAnAnswerThatComesInDrops() {
        // Given
        server.answer(request -> request.response().setChunked(true).write("{"));
        CompletableFuture<ApiAnswer> outcome = fixture.outcome(() -> api.get("/api", JSON));
        // The second timer limits the silence after the first chunk.
        fixture.until(() -> fixture.time.pending() == 2);

        // When
        fixture.advance(ApiServer.TIMEOUT);

        // Then
        assertThat(fixture.failure(outcome)).hasMessageContaining("did not respond in time");
    }

    @Test
    void logsNothingOfACallWhoseTimeIsOverBeforeItIsSent() {
        // Given: all connections are in use
        server.answer(request -> {});
        List<CompletableFuture<ApiAnswer>> outcomes = new ArrayList<>();
        for (int i = 0; i < 9; i++) {
            outcomes.add(fixture.outcome(() -> api.get("/api", JSON)));
        }
        fixture.until(() -> server.received().size() == 8 && fixture.time.pending() == 9);

        // When: a connection becomes free after the call has timed out
        try (LogLines log = new LogLines(HttpClientRequestImpl.class)) {
            fixture.advance(ApiServer.TIMEOUT);
            outcomes.forEach(fixture::failure);
            server.answer(200, "{}");
            fixture.result(() -> api.get("/api", JSON));

            // Then
            assertThat(log.all()).isEmpty();
        }
    }

    @Test
    void leavesNoTimerBehind() {
        server.answer(200, "{}");

        fixture.result(() -> api.get("/api", JSON));

        assertThat(fixture.<Integer>call(() -> fixture.time.pending())).isZero();
    }

    @Test
    void saysThatNothingAnswers() throws IOException {
        URI url;
        try (ServerSocket taken = new ServerSocket(0)) {
            url = URI.create("http://127.0.0.1:" + taken.getLocalPort());
        }
        ApiServer nobody = fixture.api(url, account);

        CallFailure failure = fixture.failure(() -> nobody.get("/api", JSON));

        assertThat(failure).hasMessage(
                "The API server at " + url + " cannot be reached: check --api-server, and that this node can reach it");
        assertThat(failure.forbidden()).isFalse();
    }

    @Test
    void saysThatANameHasNoAddress() {
        ApiServer nowhere = fixture.api(URI.create("http://nowhere.invalid"), account);

        assertThat(fixture.failure(() -> nowhere.get("/api", JSON)))
                .hasMessageStartingWith("The API server at http://nowhere.invalid has a host name that does not resolve: ");
    }

    @Test
    void refusesATruncatedAnswer() {
        server.answer(request -> {
            request.response().putHeader("Content-Length", "100").write("{\"half\":");
            request.connection().close();
        });

        assertThat(fixture.failure(() -> api.get("/api", JSON))).hasMessageContaining("ended its response early");
    }

    @Test
    void refusesWhatIsNotHttp() {
        NetServer ssh = fixture.vertx.createNetServer().connectHandler(socket -> socket.write("SSH-2.0-OpenSSH_9.6\r\n\r\n"));
        fixture.result(() -> ssh.listen(0, "127.0.0.1"));
        ApiServer none = fixture.api(URI.create("http://127.0.0.1:" + ssh.actualPort()), account);

        assertThat(fixture.failure(() -> none.get("/api", JSON))).hasMessageContaining("did not respond with HTTP");
    }

    @Test
    void readsAMebibyteAndNoMore() {
        // Given
        server.answer(request -> request.response().end(Buffer.buffer(new byte[MIB])));
        assertThat(fixture.result(() -> api.get("/api", JSON)).body().length()).isEqualTo(MIB);

        // When
        server.answer(request -> request.response().end(Buffer.buffer(new byte[MIB + 1])));

        // Then
        assertThat(fixture.failure(() -> api.get("/api", JSON))).hasMessageContaining("sent a response of more than 1048576 bytes");
    }

    @Test
    void handsALongAnswerOnPartByPart() {
        // Given
        server.answer(request -> {
            request.response().setChunked(true).write("one");
            fixture.loop.execute(() -> request.response().end("two"));
        });
        Buffer parts = Buffer.buffer();

        // When
        ApiAnswer answer = fixture.result(
                () -> api.stream("/pods", JSON, Duration.ofMinutes(1), Duration.ofSeconds(10), parts::appendBuffer));

        // Then
        assertThat(parts).hasToString("onetwo");
        assertThat(answer.status()).isEqualTo(200);
        assertThat(answer.body().length()).isZero();
    }

    @Test
    void givesTheBodyOfAnErrorInPlaceOfParts() {
        server.answer(410, "gone");
        Buffer parts = Buffer.buffer();

        ApiAnswer answer = fixture.result(
                () -> api.stream("/pods", JSON, Duration.ofMinutes(1), Duration.ofSeconds(10), parts::appendBuffer));

        assertThat(answer.status()).isEqualTo(410);
        assertThat(answer.body()).hasToString("gone");
        assertThat(parts.length()).isZero();
    }

    @Test
    void closesAConnectionWhosePartsAreOfNoUse() {
        // Given
        CompletableFuture<Void> closed = new CompletableFuture<>();
        server.answer(request -> {
            request.connection().closeHandler(gone -> closed.complete(null));
            request.response().setChunked(true).write("garbage");
        });

        // When
        CallFailure failure = fixture.failure(
                () -> api.stream("/pods", JSON, Duration.ofMinutes(1), Duration.ofSeconds(10), part -> {
                    throw new CallFailure("of no use", false);
                }));

        // Then
        assertThat(failure).hasMessage("of no use");
        closed.join();
    }

    @Test
    void givesUpAStreamThatFallsSilent() {
        // Given
        List<Buffer> parts = new ArrayList<>();
        server.answer(request -> request.response().setChunked(true).write("one"));
        CompletableFuture<ApiAnswer> outcome = fixture.outcome(
                () -> api.stream("/pods", JSON, Duration.ofMinutes(10), Duration.ofMinutes(3), parts::add));
        fixture.until(() -> parts.size() == 1);

        // When
        fixture.advance(Duration.ofMinutes(3));

        // Then
        assertThat(fixture.failure(outcome)).hasMessageContaining("did not respond in time");
    }

    @Test
    void asksNothingOnceItIsClosed() {
        fixture.run(api::close);

        assertThat(fixture.failure(() -> api.get("/api", JSON)))
                .hasMessage("The API server at " + server.url() + " was not called, because the agent is shutting down");
        assertThat(server.received()).isEmpty();
    }
}
