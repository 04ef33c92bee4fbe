package dev.podidentity.agent.cluster;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.podidentity.agent.testing.Certificates;
import dev.podidentity.agent.testing.LoopFixture;
import dev.podidentity.agent.testing.ScriptedServer;
import dev.podidentity.agent.verification.KeySource.PublishedKeys;
import io.vertx.core.http.HttpServerRequest;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class IssuerKeysTest {

    private static final String DISCOVERY = "/id/CLUSTER/.well-known/openid-configuration";

    @TempDir
    private static Path pki;

    private static Certificates certificates;

    private final LoopFixture fixture = new LoopFixture();
    private final ScriptedServer server = new ScriptedServer();
    private final ScriptedServer secure = new ScriptedServer("127.0.0.1", certificates.server());

    @BeforeAll
    static void makeCertificates() throws IOException, InterruptedException {
        certificates = Certificates.make(pki, "ip:127.0.0.1,dns:issuer.example.com");
    }

    @AfterEach
    void close() {
        fixture.close();
        server.close();
        secure.close();
    }

    private IssuerKeys keys(URI issuer, Map<String, String> environment) {
        return new IssuerKeys(fixture.vertx, issuer, environment, fixture.timedLoop, fixture.worker);
    }

    private static URI issuer(ScriptedServer of) {
        return of.url().resolve("/id/CLUSTER");
    }

    private static void serve(ScriptedServer by, String issuer, String keys) {
        by.answer(request -> {
            switch (request.path()) {
                case DISCOVERY -> request.response().end("{\"issuer\":\"" + issuer + "\",\"jwks_uri\":\"" + keys + "\"}");
                case "/keys" -> request.response().end("{\"keys\":[]}");
                default -> request.response().setStatusCode(404).end();
            }
        });
    }

    private String failure(URI issuer) {
        IssuerKeys keys = keys(issuer, Map.of());
        return fixture.failure(keys::fetch).getMessage();
    }

    @Test
    void findsTheKeysByTheDiscoveryDocument() {
        URI issuer = issuer(server);
        serve(server, issuer.toString(), server.url() + "/keys?version=1");
        IssuerKeys keys = keys(issuer, Map.of());

        assertThat(fixture.result(keys::fetch)).isEqualTo(new PublishedKeys(issuer.toString(), "{\"keys\":[]}"));

        assertThat(server.received()).extracting(HttpServerRequest::uri).containsExactly(DISCOVERY, "/keys?version=1");
        assertThat(server.received()).allSatisfy(request -> assertThat(request.getHeader("Authorization")).isNull());
    }

    @Test
    void trustsTheBundleOfTheEnvironment() {
        URI issuer = issuer(secure);
        serve(secure, issuer.toString(), secure.url() + "/keys");
        IssuerKeys keys = keys(issuer, Map.of("AWS_CA_BUNDLE", certificates.authority().toString()));

        assertThat(fixture.result(keys::fetch).jwks()).isEqualTo("{\"keys\":[]}");
    }

    @Test
    void trustsNobodyWhomThePlatformDoesNotTrust() {
        assertThat(failure(issuer(secure))).isEqualTo("The issuer " + issuer(secure) + " presented a certificate that is not trusted:"
                + " set AWS_CA_BUNDLE if its certificate authority is private");
    }

    @Test
    void goesThroughTheProxyOfTheEnvironment() {
        // Given
        List<String> tunnels = new CopyOnWriteArrayList<>();
        server.answer(request -> {
            tunnels.add(request.method() + " " + request.uri() + " " + request.getHeader("Proxy-Authorization"));
            server.tunnel(request, secure.url().getPort());
        });
        URI issuer = URI.create("https://issuer.example.com:8443/id/CLUSTER");
        serve(secure, issuer.toString(), "https://issuer.example.com:8443/keys");
        IssuerKeys keys = keys(issuer, Map.of(
                "AWS_CA_BUNDLE", certificates.authority().toString(),
                "HTTPS_PROXY", "http://user:secret@localhost:" + server.url().getPort()));

        // When
        PublishedKeys published = fixture.result(keys::fetch);

        // Then
        assertThat(published.issuer()).isEqualTo(issuer.toString());
        assertThat(tunnels).isNotEmpty().allMatch(tunnel ->
                tunnel.equals("CONNECT issuer.example.com:8443 Basic dXNlcjpzZWNyZXQ="));
    }

    @Test
    void refusesAProxyThatIsNoneAtOnce() {
        assertThatThrownBy(() -> keys(URI.create("https://issuer.example.com"), Map.of("HTTPS_PROXY", "ftp://proxy")))
                .isExactlyInstanceOf(IllegalArgumentException.class)
                .hasMessageStartingWith("HTTPS_PROXY must be the URL of a proxy");
    }

    @ParameterizedTest
    @ValueSource(strings = {"user", "user:", ":secret", "user:se:cret", "user:se%3Acret", ":"})
    void refusesProxyCredentialsThatTheIssuerWouldBeSent(String credentials) {
        assertThatThrownBy(() -> keys(
                        URI.create("https://issuer.example.com"), Map.of("HTTPS_PROXY", "http://" + credentials + "@proxy:3128")))
                .isExactlyInstanceOf(IllegalArgumentException.class)
                .hasMessageStartingWith("A user name and password in the URL of a proxy must not")
                .message().doesNotContain("cret");
    }

    @Test
    void refusesABundleThatIsNoneAtOnce() {
        assertThatThrownBy(() -> keys(URI.create("https://issuer.example.com"), Map.of("AWS_CA_BUNDLE", "/nonexistent")))
                .isExactlyInstanceOf(IllegalArgumentException.class)
                .hasMessageStartingWith("AWS_CA_BUNDLE names /nonexistent, but it cannot be read");
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "/"})
    void wantsTheIssuerLetterByLetter(String ending) {
        URI issuer = issuer(server);
        serve(server, issuer.resolve("/id/OTHER" + ending).toString(), server.url() + "/keys");

        assertThat(failure(issuer)).isEqualTo("The discovery document of the issuer " + issuer + " names another issuer: --issuer"
                + " must be exactly the iss of the cluster's tokens");
    }

    @ParameterizedTest
    @ValueSource(strings = {"ftp://127.0.0.1/keys", "file:///etc/passwd", "/keys", "http://", "https://user@127.0.0.1/keys", "::"})
    void asksNoUrlThatIsNone(String url) {
        serve(server, issuer(server).toString(), url);

        assertThat(failure(issuer(server))).contains("has a jwks_uri that cannot be used");
    }

    @Test
    void asksForNoKeysInPlainTextWhereTheIssuerIsSecure() {
        serve(secure, issuer(secure).toString(), server.url() + "/keys");
        IssuerKeys keys = keys(issuer(secure), Map.of("AWS_CA_BUNDLE", certificates.authority().toString()));

        assertThat(fixture.failure(keys::fetch)).hasMessageContaining("it must be an https URL");
        assertThat(server.received()).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "[]", "{}", "{\"issuer\":7}", "garbage"})
    void refusesADiscoveryDocumentThatIsNone(String document) {
        server.answer(200, document);

        assertThat(failure(issuer(server))).contains("discovery document");
    }

    @ParameterizedTest
    @ValueSource(ints = {302, 403, 404, 500})
    void saysWhatIsAnsweredInPlaceOfTheDocument(int status) {
        server.answer(request -> request.response().setStatusCode(status).putHeader("Location", server.url() + "/keys").end());

        assertThat(failure(issuer(server))).isEqualTo("The issuer " + issuer(server) + " responds with HTTP " + status
                + " to the request for its discovery document: check --issuer");
        assertThat(server.received()).hasSize(1);
    }

    @Test
    void saysThatTheKeysAreMissing() {
        serve(server, issuer(server).toString(), server.url() + "/elsewhere");

        assertThat(failure(issuer(server))).contains("HTTP 404 to the request for its keys");
    }

    @Test
    void refusesKeysOfMoreThanAMebibyte() {
        server.answer(200, "x".repeat(1024 * 1024 + 1));

        assertThat(failure(issuer(server))).contains("sent a response of more than 1048576 bytes");
    }
}
