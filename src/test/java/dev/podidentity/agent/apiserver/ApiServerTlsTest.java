package dev.podidentity.agent.apiserver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.podidentity.agent.testing.Certificates;
import dev.podidentity.agent.testing.LoopFixture;
import dev.podidentity.agent.testing.ScriptedServer;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.net.NetServer;
import java.io.IOException;
import java.net.Inet6Address;
import java.net.NetworkInterface;
import java.net.SocketException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ApiServerTlsTest {

    private static final String JSON = "application/json";
    private static final Duration MINUTE = Duration.ofMinutes(1);

    @TempDir
    private static Path pki;

    @TempDir
    private static Path otherPki;

    private static Certificates certificates;
    private static Certificates otherCertificates;

    @TempDir
    private Path account;

    private final LoopFixture fixture = new LoopFixture();
    private final ScriptedServer server = new ScriptedServer("127.0.0.1", certificates.server());
    private ApiServer api;

    @BeforeAll
    static void makeCertificates() throws IOException, InterruptedException {
        certificates = Certificates.make(pki, "ip:127.0.0.1,ip:0:0:0:0:0:0:0:1");
        otherCertificates = Certificates.make(otherPki, "ip:127.0.0.1");
    }

    @BeforeEach
    void mountTheAccount() throws IOException {
        token("token-1\n");
        authority(certificates);
        server.answer(200, "{}");
        api = fixture.api(server.url(), account);
    }

    @AfterEach
    void close() {
        fixture.close();
        server.close();
    }

    private void token(String token) throws IOException {
        Files.writeString(account.resolve("token"), token);
    }

    private void authority(Certificates of) throws IOException {
        Files.copy(of.authority(), account.resolve("ca.crt"), StandardCopyOption.REPLACE_EXISTING);
    }

    private ApiAnswer get() {
        return fixture.result(() -> api.get("/api", JSON));
    }

    private String failure() {
        return fixture.failure(() -> api.get("/api", JSON)).getMessage();
    }

    /** Returns the tokens received, in order. */
    private List<String> tokens() {
        return server.received().stream().map(ApiServerTlsTest::token).toList();
    }

    private static String token(HttpServerRequest request) {
        return request.getHeader("Authorization");
    }

    @Test
    void showsTheTokenToTheServerOfTheMountedAuthority() {
        assertThat(get().status()).isEqualTo(200);

        assertThat(tokens()).containsExactly("Bearer token-1");
    }

    @Test
    void reachesAServerByItsIpv6Address() throws SocketException {
        assumeThat(loopbackHasIpv6()).as("the loopback interface has the address ::1").isTrue();
        try (ScriptedServer overIpv6 = new ScriptedServer("::1", certificates.server())) {
            overIpv6.answer(request -> request.response().end(request.getHeader("Host")));
            ApiServer reached = fixture.api(overIpv6.url(), account);

            ApiAnswer answer = fixture.result(() -> reached.get("/api", JSON));

            assertThat(answer.body()).hasToString("[::1]:" + overIpv6.url().getPort());
        }
    }

    private static boolean loopbackHasIpv6() throws SocketException {
        return NetworkInterface.networkInterfaces()
                .flatMap(NetworkInterface::inetAddresses)
                .anyMatch(address -> address instanceof Inet6Address && address.isLoopbackAddress());
    }

    @Test
    void showsTheTokenToNobodyOfAnotherAuthority() throws IOException {
        authority(otherCertificates);

        assertThat(failure()).isEqualTo("The API server at " + server.url() + " presented a certificate that is not trusted: check"
                + " that " + account.resolve("ca.crt") + " is the certificate authority of this cluster, and that the API server's"
                + " certificate names the host of this URL");
        assertThat(server.received()).isEmpty();
    }

    @Test
    void showsTheTokenToNobodyWhoseCertificateIsForAnotherHost() {
        ApiServer byName = fixture.api(URI.create("https://localhost:" + server.url().getPort()), account);

        assertThat(fixture.failure(() -> byName.get("/api", JSON)))
                .hasMessageContaining("presented a certificate that is not trusted");
        assertThat(server.received()).isEmpty();
    }

    @Test
    void saysThatAPortDoesNotSpeakTls() {
        try (ScriptedServer plain = new ScriptedServer()) {
            ApiServer secure = fixture.api(URI.create("https://127.0.0.1:" + plain.url().getPort()), account);

            assertThat(fixture.failure(() -> secure.get("/api", JSON))).hasMessageContaining("failed the TLS handshake");
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {-2, 2})
    void readsTheTokenAnewAfterAMinuteHoweverTheClockJumps(int hours) throws IOException {
        // Given
        get();
        token("token-2");
        fixture.run(() -> fixture.time.setClockAhead(Duration.ofHours(hours)));
        get();

        // When
        fixture.advance(MINUTE);
        get();

        // Then
        assertThat(tokens()).containsExactly("Bearer token-1", "Bearer token-1", "Bearer token-2");
    }

    @Test
    void saysThatAPortDoesNotAnswerRatherThanThatItDoesNotSpeakTls() {
        // Given: a server that accepts connections but never sends anything
        CompletableFuture<Void> connected = new CompletableFuture<>();
        NetServer silent = fixture.vertx.createNetServer().connectHandler(socket -> connected.complete(null));
        fixture.result(() -> silent.listen(0, "127.0.0.1"));
        ApiServer mute = fixture.api(URI.create("https://127.0.0.1:" + silent.actualPort()), account);

        // When
        CompletableFuture<ApiAnswer> outcome = fixture.outcome(() -> mute.get("/api", JSON));
        connected.join();
        fixture.advance(ApiServer.TIMEOUT);

        // Then
        assertThat(fixture.failure(outcome)).hasMessageContaining("did not respond in time");
    }

    @Test
    void readsTheTokenAnewAfterAMinute() throws IOException {
        // Given
        get();
        token("token-2");
        get();
        fixture.advance(MINUTE.minusMillis(1));
        get();

        // When
        fixture.advance(Duration.ofMillis(1));
        get();

        // Then
        assertThat(tokens()).containsExactly("Bearer token-1", "Bearer token-1", "Bearer token-1", "Bearer token-2");
    }

    @Test
    void triesAReplacedTokenAtOnceWhenTheOldOneIsNotAccepted() throws IOException {
        // Given
        get();
        token("token-2");
        server.answer(request -> request.response().setStatusCode(token(request).endsWith("2") ? 200 : 401).end());

        // When
        ApiAnswer answer = get();

        // Then
        assertThat(answer.status()).isEqualTo(200);
        assertThat(tokens()).containsExactly("Bearer token-1", "Bearer token-1", "Bearer token-2");
    }

    @Test
    void givesTheRefusalWhenTheTokenIsStillTheSame() {
        server.answer(401, "{}");

        assertThat(get().status()).isEqualTo(401);
        assertThat(tokens()).hasSize(1);
    }

    @Test
    void triesNoMoreThanTwoTokens() throws IOException {
        // Given
        server.answer(request -> {
            overwriteToken("token-" + System.nanoTime());
            request.response().setStatusCode(401).end();
        });

        // When
        ApiAnswer answer = get();

        // Then
        assertThat(answer.status()).isEqualTo(401);
        assertThat(tokens()).hasSize(2);
    }

    private void overwriteToken(String token) {
        try {
            token(token);
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    @Test
    void keepsTheTokenWhileItsFileCannotBeRead() throws IOException {
        get();
        Files.delete(account.resolve("token"));
        fixture.advance(MINUTE);

        assertThat(get().status()).isEqualTo(200);
    }

    @Test
    void trustsAnAuthorityThatTookThePlaceOfTheOld() throws IOException {
        // Given
        get();
        try (ScriptedServer renewed = new ScriptedServer("127.0.0.1", otherCertificates.server())) {
            renewed.answer(200, "{}");
            ApiServer same = fixture.api(renewed.url(), account);
            fixture.failure(() -> same.get("/api", JSON));

            // When
            authority(otherCertificates);
            fixture.advance(MINUTE);

            // Then
            assertThat(fixture.result(() -> same.get("/api", JSON)).status()).isEqualTo(200);
            assertThat(failure()).contains("presented a certificate that is not trusted");
        }
    }

    @Test
    void saysThatTheTokenIsNotMounted() throws IOException {
        Files.delete(account.resolve("token"));

        assertThat(failure()).isEqualTo("The file " + account.resolve("token") + " with the agent's token for the API server cannot"
                + " be read: mount the service account's token into the agent's pod, or set --service-account-path");
    }

    @Test
    void readsTheFilesAgainAtOnceWhileTheyAreMissing() throws IOException {
        Files.delete(account.resolve("token"));
        failure();
        token("token-1");

        assertThat(get().status()).isEqualTo(200);
    }

    @Test
    void saysThatTheAuthorityIsNotMounted() throws IOException {
        Files.delete(account.resolve("ca.crt"));

        assertThat(failure()).startsWith("The file " + account.resolve("ca.crt")
                + " with the API server's certificate authority cannot be read: mount ");
    }

    @Test
    void saysThatTheAuthorityIsNone() throws IOException {
        Files.writeString(account.resolve("ca.crt"), "garbage");

        assertThat(failure()).startsWith("The API server's certificate authority must be in " + account.resolve("ca.crt") + ", but ");
    }

    @Test
    void sendsNoTokenThatWouldBeAnotherHeader() throws IOException {
        token("token\r\nX-Forged: yes");

        assertThat(failure()).isEqualTo("The file " + account.resolve("token")
                + " must contain the agent's token for the API server, but it does not");
    }
}
