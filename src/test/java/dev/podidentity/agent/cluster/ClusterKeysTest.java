package dev.podidentity.agent.cluster;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.outbound.CallFailure;
import dev.podidentity.agent.testing.LoopFixture;
import dev.podidentity.agent.testing.ScriptedServer;
import dev.podidentity.agent.testing.Tokens;
import dev.podidentity.agent.verification.KeySource.PublishedKeys;
import io.vertx.core.http.HttpServerRequest;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ClusterKeysTest {

    private static final String JWKS = "/openid/v1/jwks";
    private static final String DISCOVERY = "/.well-known/openid-configuration";

    @TempDir
    private Path account;

    private final LoopFixture fixture = new LoopFixture();
    private final ScriptedServer server = new ScriptedServer();
    private ClusterKeys keys;

    @AfterEach
    void close() {
        fixture.close();
        server.close();
    }

    private void serve(int jwksStatus, int discoveryStatus, String discovery) {
        keys = new ClusterKeys(fixture.api(server.url(), account));
        server.answer(request -> {
            switch (request.path()) {
                case JWKS -> request.response().setStatusCode(jwksStatus).end("{\"keys\":[]}");
                case DISCOVERY -> request.response().setStatusCode(discoveryStatus).end(discovery);
                default -> request.response().setStatusCode(404).end();
            }
        });
    }

    @Test
    void takesTheIssuerOfTheAgentsOwnToken() throws IOException {
        Files.writeString(account.resolve("token"), Tokens.jwt("{}", "{\"iss\":\"https://issuer.example.com\"}"));
        serve(200, 500, "");

        PublishedKeys published = fixture.result(() -> keys.fetch());

        assertThat(published).isEqualTo(new PublishedKeys("https://issuer.example.com", "{\"keys\":[]}"));
        assertThat(server.received().stream().map(HttpServerRequest::path)).containsExactly(JWKS);
    }

    @ParameterizedTest
    @ValueSource(strings = {"opaque", "a.b.c", "e30.e30.e30", "e30.W10.e30", "e30.!.e30"})
    void asksTheApiServerForTheIssuerWhereTheTokenDoesNotSay(String token) throws IOException {
        Files.writeString(account.resolve("token"), token);
        serve(200, 200, "{\"issuer\":\"https://discovered.example.com\"}");

        assertThat(fixture.result(() -> keys.fetch()).issuer()).isEqualTo("https://discovered.example.com");
    }

    @ParameterizedTest
    @ValueSource(strings = {"{\"iss\":7}", "{\"iss\":\" \"}", "{\"iss\":\"kubernetes/serviceaccount\"}"})
    void asksTheApiServerForTheIssuerWhereTheTokenHasNoneOfProjectedTokens(String claims) throws IOException {
        Files.writeString(account.resolve("token"), Tokens.jwt("{}", claims));
        serve(200, 200, "{\"issuer\":\"https://discovered.example.com\"}");

        assertThat(fixture.result(() -> keys.fetch()).issuer()).isEqualTo("https://discovered.example.com");
    }

    @ParameterizedTest
    @CsvSource({
        "403, 200, keys, /openid/v1/jwks",
        "200, 403, 'issuer, which its own token does not name', /.well-known/openid-configuration"})
    void namesTheMissingRule(int jwks, int discovery, String what, String url) {
        serve(jwks, discovery, "{}");

        CallFailure failure = fixture.failure(() -> keys.fetch());

        assertThat(failure.forbidden()).isTrue();
        assertThat(failure).hasMessage("The agent may not read the cluster's " + what + " (HTTP 403): give its service account"
                + " a role with nonResourceURLs " + url + " with the verb get, as the ClusterRole"
                + " system:service-account-issuer-discovery has it");
    }

    @ParameterizedTest
    @CsvSource({"404, 200", "500, 200", "200, 404", "302, 200"})
    void failsWhileTheApiServerDoesNotAnswerWell(int jwks, int discovery) {
        serve(jwks, discovery, "{}");

        assertThat(fixture.failure(() -> keys.fetch()).forbidden()).isFalse();
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "[]", "{}", "{\"issuer\":7}", "{\"issuer\":\"\"}", "garbage"})
    void failsOnADiscoveryDocumentWithoutAnIssuer(String document) {
        serve(200, 200, document);

        assertThat(fixture.failure(() -> keys.fetch()).getMessage()).contains("discovery document");
    }
}
