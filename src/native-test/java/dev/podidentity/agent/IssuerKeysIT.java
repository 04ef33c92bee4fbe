package dev.podidentity.agent;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.testing.Certificates;
import dev.podidentity.emulator.EksAuthEmulator;
import dev.podidentity.emulator.TokenMint;
import dev.podidentity.emulator.TokenRequest.Algorithm;
import io.vertx.core.Vertx;
import io.vertx.core.http.HttpServer;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.json.JsonObject;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The signing keys of the cluster's issuer on the internet, which is only reachable through the proxy. The API server is
 * unused.
 */
class IssuerKeysIT {

    private static final URI ISSUER = URI.create(TokenMint.ISSUER);
    private static final String DOCUMENT = ISSUER.getPath() + "/.well-known/openid-configuration";

    @TempDir
    private Path directory;

    private final EksAuthEmulator emulator = Emulators.start();
    private final Vertx vertx = Vertx.vertx();
    private final List<String> asked = new CopyOnWriteArrayList<>();
    private volatile String issuer = TokenMint.ISSUER;
    private Map<String, String> environment;

    @BeforeEach
    void start() throws IOException, InterruptedException {
        Certificates certificates = Certificates.make(directory, "dns:" + ISSUER.getHost());
        HttpServer internet = vertx.createHttpServer(certificates.server()).requestHandler(this::publish)
                .listen(0, AgentProcess.LOOPBACK).toCompletionStage().toCompletableFuture().join();
        HttpServer proxy = vertx.createHttpServer().requestHandler(request -> tunnel(request, internet.actualPort()))
                .listen(0, AgentProcess.LOOPBACK).toCompletionStage().toCompletableFuture().join();
        environment = Map.of(
                "HTTPS_PROXY", "http://" + AgentProcess.LOOPBACK + ":" + proxy.actualPort(),
                "AWS_CA_BUNDLE", certificates.authority().toString());
    }

    @AfterEach
    void stop() {
        vertx.close().toCompletionStage().toCompletableFuture().join();
        emulator.close();
    }

    private void publish(HttpServerRequest request) {
        asked.add(request.path() + " " + request.getHeader("Authorization"));
        if (request.path().equals(DOCUMENT)) {
            request.response().end(new JsonObject()
                    .put("issuer", issuer)
                    .put("jwks_uri", TokenMint.ISSUER + "/keys")
                    .encode());
        } else {
            request.response().end(emulator.tokens().jwks(Algorithm.RS256));
        }
    }

    private void tunnel(HttpServerRequest request, int port) {
        asked.add(request.method() + " " + request.uri());
        request.toNetSocket().onSuccess(socket -> {
            socket.pause();
            vertx.createNetClient().connect(port, AgentProcess.LOOPBACK).onSuccess(onward -> {
                socket.pipeTo(onward);
                onward.pipeTo(socket);
                socket.resume();
            });
        });
    }

    private AgentProcess agent() {
        return AgentProcess.start(
                emulator, environment, "--token-verification", "jwks", "--issuer", TokenMint.ISSUER);
    }

    private String ask(AgentProcess agent, String pod) throws IOException {
        RawHttp.Answer answer = RawHttp.askAsSdk(agent.port(), Emulators.token(emulator, pod));
        assertThat(answer.status()).isEqualTo(200);
        return answer.body();
    }

    @Test
    void areFoundByItsDiscoveryDocumentAndVerifyTokens() throws IOException {
        try (AgentProcess agent = agent()) {
            Cluster.awaitKeys(agent, emulator);

            // When
            String first = ask(agent, "pod-1");
            String second = ask(agent, "pod-2");

            // Then
            assertThat(second).isEqualTo(first);
            assertThat(emulator.calls()).isOne();
            String connect = "CONNECT " + ISSUER.getHost() + ":443";
            assertThat(asked).contains(connect, DOCUMENT + " null", ISSUER.getPath() + "/keys null");
            assertThat(agent.lines("Tokens of other nodes are accepted")).as("without NODE_NAME").isOne();
        }
    }

    @Test
    void areNotTakenFromADocumentThatIsOfAnotherIssuer() throws IOException {
        // Given
        issuer = TokenMint.ISSUER + "/";

        try (AgentProcess agent = agent()) {
            // Then
            assertThat(agent.awaitLine(line -> line.contains("signing keys cannot be fetched")))
                    .contains("--issuer must be exactly the iss of the cluster's tokens");
            assertThat(ask(agent, "pod-2")).isNotEqualTo(ask(agent, "pod-1"));
            assertThat(asked).noneMatch(request -> request.contains("/keys"));
        }
    }
}
