package dev.podidentity.agent;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.emulator.EksAuthEmulator;
import dev.podidentity.emulator.EmulatorConfig;
import io.vertx.core.Handler;
import io.vertx.core.Vertx;
import io.vertx.core.http.HttpServer;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.net.NetServer;
import io.vertx.core.net.NetServerOptions;
import io.vertx.core.net.NetSocket;
import io.vertx.core.net.PfxOptions;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What the agent finds on its node: its own credentials and region, a private certificate authority, a proxy. */
class NodeEnvironmentIT {

    private static final String PASSWORD = "changeit";
    private static final String SESSION_TOKEN = "session-of-the-instance";

    private final Vertx vertx = Vertx.vertx();
    private EksAuthEmulator emulator;

    @TempDir
    private Path directory;

    @BeforeEach
    void start() {
        emulator = Emulators.start();
    }

    @AfterEach
    void stop() {
        emulator.close();
        vertx.close().toCompletionStage().toCompletableFuture().join();
    }

    @Test
    void findsItsCredentialsAndRegionAtImdsV2() throws IOException {
        // Given
        List<String> asked = new CopyOnWriteArrayList<>();
        emulator.close();
        emulator = emulatorOfTheInstance();
        HttpServer imds = serve(request -> imds(request, asked, true));
        Map<String, String> environment = Map.of(
                "AWS_ACCESS_KEY_ID", "", "AWS_SECRET_ACCESS_KEY", "", "AWS_REGION", "",
                "AWS_EC2_METADATA_DISABLED", "false",
                "AWS_EC2_METADATA_SERVICE_ENDPOINT", url(imds),
                // The agent must use neither a proxy nor its own endpoint.
                "HTTP_PROXY", "http://127.0.0.1:9", "http_proxy", "http://127.0.0.1:9",
                "AWS_CONTAINER_CREDENTIALS_FULL_URI", url(imds) + "/v1/credentials");

        try (AgentProcess agent = AgentProcess.start(emulator, environment)) {
            // When
            RawHttp.Answer answer = RawHttp.askAsSdk(agent.port(), Emulators.token(emulator, "pod-1"));

            // Then
            assertThat(answer.status()).isEqualTo(200);
            assertThat(asked).contains("GET /latest/meta-data/iam/security-credentials/node-role");
            assertThat(asked).noneMatch(request -> request.contains("/v1/credentials"));
            assertThat(agent.metric("pod_identity_agent_credentials_expiry_seconds")).isBetween(0.0, 21_600.0);
            assertThat(Diagnosis.of(AgentProcess.command(), environment, List.of(emulator.secretAccessKey(), SESSION_TOKEN)).of("credentials"))
                    .singleElement().asString().contains("from IMDSv2: " + emulator.accessKeyId() + ", until ");
        }
    }

    @Test
    void isReadyOnANodeWhoseIpv6IsDisabled() {
        try (NetworkNamespace node = NetworkNamespace.create()) {
            // Given
            node.ip("link set lo up");
            node.set("net/ipv6/conf/all/disable_ipv6", 1);
            node.set("net/ipv6/conf/default/disable_ipv6", 1);
            List<String> executable = node.inside(System.getProperty("agent.executable"));
            AgentProcess initialize = AgentProcess.run(executable, Map.of(), "initialize");
            assertThat(initialize.awaitExit()).isZero();

            // When
            try (AgentProcess agent = AgentProcess.run(executable, AgentProcess.environment(emulator),
                    "server", "--cluster-name", emulator.clusterName(), "--endpoint", emulator.endpoint().toString())) {
                agent.awaitLine(line -> line.contains("\"address\":\"[fd00:ec2::23]:80\"") && line.contains("this node has no IPv6"));
                agent.awaitLine(line -> line.contains("own AWS credentials were found"));
                agent.awaitLine(line -> line.contains("\"msg\":\"Listening\"") && line.contains("169.254.170.23:80"));

                // Then
                assertThat(AgentProcess.run(executable, Map.of(), "probe", "--ready").awaitExit()).isZero();
            }
        }
    }

    @Test
    void servesAPodThatAskedBeforeTheAgentHadCredentialsOfItsOwn() throws IOException {
        // Given
        CompletableFuture<Void> late = new CompletableFuture<>();
        List<String> asked = new CopyOnWriteArrayList<>();
        HttpServer imds = serve(request -> late.thenRun(() -> imds(request, asked, true)));
        Map<String, String> environment = Map.of(
                "AWS_ACCESS_KEY_ID", "", "AWS_SECRET_ACCESS_KEY", "",
                "AWS_EC2_METADATA_DISABLED", "false",
                "AWS_EC2_METADATA_SERVICE_ENDPOINT", url(imds));
        emulator.close();
        emulator = emulatorOfTheInstance();

        try (AgentProcess agent = AgentProcess.launch(emulator, environment, "--request-deadline", "30s");
                RawHttp pod = new RawHttp(agent.port())) {
            // When
            pod.send(RawHttp.request(Emulators.token(emulator, "pod-early")));
            late.complete(null);

            // Then
            assertThat(pod.answer().status()).isEqualTo(200);
        }
    }

    @Test
    void neverFallsBackToImdsV1() throws IOException {
        // Given
        List<String> asked = new CopyOnWriteArrayList<>();
        HttpServer imds = serve(request -> imds(request, asked, false));
        Map<String, String> environment = Map.of(
                "AWS_ACCESS_KEY_ID", "", "AWS_SECRET_ACCESS_KEY", "",
                "AWS_EC2_METADATA_DISABLED", "false",
                "AWS_EC2_METADATA_SERVICE_ENDPOINT", url(imds));

        try (AgentProcess agent = AgentProcess.launch(emulator, environment)) {
            // When
            agent.awaitLine(line -> line.contains("own AWS credentials cannot be found"));

            // Then
            assertThat(asked).isNotEmpty().allMatch(request -> request.startsWith("PUT "));
        }
    }

    @Test
    void readsTheSharedCredentialsFile() throws IOException {
        // Given
        Path file = Files.writeString(directory.resolve("credentials"), """
                [node]
                aws_access_key_id = %s
                aws_secret_access_key = %s
                """.formatted(emulator.accessKeyId(), emulator.secretAccessKey()));
        Map<String, String> environment = Map.of(
                "AWS_ACCESS_KEY_ID", "", "AWS_SECRET_ACCESS_KEY", "",
                "AWS_PROFILE", "node", "AWS_SHARED_CREDENTIALS_FILE", file.toString());

        try (AgentProcess agent = AgentProcess.start(emulator, environment, "--rotate-credentials", "true")) {
            assertThat(RawHttp.askAsSdk(agent.port(), Emulators.token(emulator, "pod-1")).status()).isEqualTo(200);
        }
    }

    @Test
    void readsTheRegionAndACredentialProcessFromTheSharedConfigFile() throws IOException {
        // Given
        Path credentials = Files.writeString(directory.resolve("credentials.json"), """
                {"Version": 1, "AccessKeyId": "%s", "SecretAccessKey": "%s"}
                """.formatted(emulator.accessKeyId(), emulator.secretAccessKey()));
        Path file = Files.writeString(directory.resolve("config"), """
                [profile node]
                region = us-west-2
                credential_process = /bin/cat %s
                """.formatted(credentials));
        Map<String, String> environment = Map.of(
                "AWS_ACCESS_KEY_ID", "", "AWS_SECRET_ACCESS_KEY", "", "AWS_REGION", "",
                "AWS_PROFILE", "node", "AWS_CONFIG_FILE", file.toString());

        try (AgentProcess agent = AgentProcess.start(emulator, environment)) {
            assertThat(RawHttp.askAsSdk(agent.port(), Emulators.token(emulator, "pod-1")).status()).isEqualTo(200);
        }
    }

    @Test
    void trustsTheAuthorityOfTheCaBundleAndNoOther() throws IOException, InterruptedException {
        // Given
        int port = terminateTls("localhost");

        try (AgentProcess trusting = AgentProcess.start(emulator, Map.of("AWS_CA_BUNDLE", caBundle().toString()),
                        "--endpoint", "https://localhost:" + port);
                AgentProcess other = AgentProcess.start(
                        emulator, "--endpoint", "https://localhost:" + port, "--flight-timeout", "5s")) {
            // Then
            assertThat(RawHttp.askAsSdk(trusting.port(), Emulators.token(emulator, "pod-1")).status()).isEqualTo(200);
            assertThat(RawHttp.exchange(other.port(), RawHttp.request(Emulators.token(emulator, "pod-2"))).status())
                    .isEqualTo(503);
            other.awaitLine(line -> line.contains("No credentials from EKS Auth")
                    && line.contains("The certificate of EKS Auth at localhost is not trusted"));
        }
    }

    @Test
    void callsThroughTheProxyThatTheEnvironmentNames() throws IOException, InterruptedException {
        // Given: a name that only the proxy can resolve
        int port = terminateTls("eks-auth.nowhere.invalid");
        CompletableFuture<String> asked = new CompletableFuture<>();
        HttpServer proxy = serve(request -> {
            asked.complete(request.method() + " " + request.uri() + " " + request.getHeader("Proxy-Authorization"));
            tunnel(request, port);
        });
        Map<String, String> environment = Map.of(
                "https_proxy", "http://node:pass-of-the-proxy@" + AgentProcess.LOOPBACK + ":" + proxy.actualPort(),
                "AWS_CA_BUNDLE", caBundle().toString());

        try (AgentProcess agent = AgentProcess.start(
                emulator, environment, "--endpoint", "https://eks-auth.nowhere.invalid")) {
            agent.keepsSecret("pass-of-the-proxy");

            // When
            RawHttp.Answer answer = RawHttp.askAsSdk(agent.port(), Emulators.token(emulator, "pod-1"));

            // Then
            assertThat(asked).isCompletedWithValue("CONNECT eks-auth.nowhere.invalid:443 Basic "
                    + Base64.getEncoder().encodeToString("node:pass-of-the-proxy".getBytes(StandardCharsets.UTF_8)));
            assertThat(answer.status()).isEqualTo(200);
        }
    }

    @ParameterizedTest
    @CsvSource({
        "us-west-2, false, https://eks-auth.us-west-2.api.aws",
        "us-west-2, true, https://eks-auth-fips.us-west-2.api.aws",
        "us-gov-west-1, true, https://eks-auth-fips.us-gov-west-1.api.aws",
        "cn-north-1, false, https://eks-auth.cn-north-1.api.amazonwebservices.com.cn"
    })
    void callsTheEndpointOfItsRegion(String region, String fips, String endpoint) {
        Map<String, String> environment = new HashMap<>(AgentProcess.environment(emulator));
        environment.putAll(Map.of("AWS_REGION", region, "AWS_USE_FIPS_ENDPOINT", fips));

        try (AgentProcess agent = AgentProcess.run(environment, "server", "-c", "any", "--bind-hosts", AgentProcess.LOOPBACK,
                "--port", "0", "--probe-port", "0", "--metrics-address", AgentProcess.LOOPBACK, "--metrics-port", "0")) {
            assertThat(agent.awaitLine(line -> line.contains("Ready to call EKS Auth")))
                    .contains("\"endpoint\":\"" + endpoint + "\",\"region\":\"" + region + "\"");
        }
    }

    @Test
    void runsWhereNothingCanBeWrittenAsAUserWhomNobodyKnows() throws IOException, InterruptedException {
        // Given
        List<String> confined = List.of("unshare", "--user", "--map-root-user", "--mount", "sh", "-ec", """
                for place in /tmp /var/tmp /dev/shm; do
                  mount --bind $place $place
                  mount -o remount,bind,ro $place
                done
                test ! -d /usr/share/zoneinfo || mount -t tmpfs -o ro none /usr/share/zoneinfo
                exec unshare --user --map-user=12345 --map-group=12345 -- "$@"
                """, "sh");
        assumeRuns(confined);
        List<String> command = new ArrayList<>(confined);
        command.addAll(AgentProcess.command());
        Map<String, String> environment = new HashMap<>(AgentProcess.environment(emulator));
        environment.putAll(Map.of("PATH", System.getenv("PATH"), "TZ", ""));

        try (AgentProcess agent = AgentProcess.run(command, environment, "server", "-c", emulator.clusterName(),
                "--endpoint", emulator.endpoint().toString(), "--bind-hosts", AgentProcess.LOOPBACK, "--port", "0",
                "--probe-port", "0", "--metrics-address", AgentProcess.LOOPBACK, "--metrics-port", "0")) {
            agent.awaitLine(line -> line.contains("\"msg\":\"Started\""));
            agent.awaitLine(line -> line.contains("Ready to call EKS Auth"));

            // When
            RawHttp.Answer answer = RawHttp.askAsSdk(agent.port(), Emulators.token(emulator, "pod-1"));

            // Then
            assertThat(answer.status()).isEqualTo(200);
        }
    }

    private void assumeRuns(List<String> prefix) throws InterruptedException {
        List<String> command = new ArrayList<>(prefix);
        command.addAll(List.of("sh", "-c", "! touch /tmp/writable && test $(id -u) = 12345"));
        String why;
        try {
            Finished run = Finished.run(new ProcessBuilder(command), directory.resolve("confined"), Duration.ofSeconds(30));
            why = run.exitCode() == 0 ? "" : run.output();
        } catch (IOException e) {
            why = e.getMessage();
        }
        Assumptions.assumeTrue(why.isEmpty(), "User and mount namespaces cannot be made here: " + why);
    }

    private static EksAuthEmulator emulatorOfTheInstance() {
        EksAuthEmulator emulator = EksAuthEmulator.start(EmulatorConfig.defaults()
                .withNodeCredentials("AKIDOFTHEINSTANCE", "secret-of-the-instance", Optional.of(SESSION_TOKEN)));
        emulator.associate(Emulators.NAMESPACE, Emulators.SERVICE_ACCOUNT, "arn:aws:iam::123456789012:role/demo");
        return emulator;
    }

    private HttpServer serve(Handler<HttpServerRequest> handler) {
        return vertx.createHttpServer().requestHandler(handler).listen(0, AgentProcess.LOOPBACK)
                .toCompletionStage().toCompletableFuture().join();
    }

    private static String url(HttpServer server) {
        return "http://" + AgentProcess.LOOPBACK + ":" + server.actualPort();
    }

    /** Responds like IMDS; with version 1 only, it has no tokens. */
    private void imds(HttpServerRequest request, List<String> asked, boolean versionTwo) {
        asked.add(request.method() + " " + request.path());
        if (request.path().equals("/latest/api/token")) {
            request.response().setStatusCode(versionTwo ? 200 : 403).putHeader("x-aws-ec2-metadata-token-ttl-seconds", "21600")
                    .end("imds-token");
            return;
        }
        if (versionTwo && !"imds-token".equals(request.getHeader("x-aws-ec2-metadata-token"))) {
            request.response().setStatusCode(401).end();
            return;
        }
        switch (request.path()) {
            case "/latest/meta-data/iam/security-credentials/" -> request.response().end("node-role");
            case "/latest/meta-data/iam/security-credentials/node-role" -> request.response().end("""
                    {"Code":"Success","Type":"AWS-HMAC","AccessKeyId":"%s","SecretAccessKey":"%s","Token":"%s",
                     "LastUpdated":"2024-01-01T00:00:00Z","Expiration":"%s"}
                    """.formatted(emulator.accessKeyId(), emulator.secretAccessKey(), SESSION_TOKEN, Instant.now().plusSeconds(21600)));
            case "/latest/dynamic/instance-identity/document" -> request.response().end("{\"region\":\"us-west-2\"}");
            default -> request.response().setStatusCode(404).end();
        }
    }

    private Path caBundle() {
        return directory.resolve("ca.pem");
    }

    /** Serves the emulator under a host name over TLS, with a certificate from the authority in {@link #caBundle()}. */
    private int terminateTls(String host) throws IOException, InterruptedException {
        Path store = directory.resolve("tls.p12");
        keytool("-genkeypair", "-alias", "tls", "-keyalg", "EC", "-dname", "CN=" + host, "-ext", "SAN=dns:" + host,
                "-keystore", store.toString(), "-storetype", "PKCS12", "-storepass", PASSWORD);
        keytool("-exportcert", "-rfc", "-alias", "tls", "-keystore", store.toString(), "-storepass", PASSWORD,
                "-file", caBundle().toString());
        NetServer server = vertx.createNetServer(new NetServerOptions()
                .setSsl(true)
                .setKeyCertOptions(new PfxOptions().setPath(store.toString()).setPassword(PASSWORD)));
        server.connectHandler(socket -> join(socket, emulator.endpoint().getPort()));
        return server.listen(0, AgentProcess.LOOPBACK).toCompletionStage().toCompletableFuture().join().actualPort();
    }

    private void tunnel(HttpServerRequest request, int port) {
        request.toNetSocket().onSuccess(socket -> join(socket, port));
    }

    /** Forwards bytes to a port of this machine and back. */
    private void join(NetSocket socket, int port) {
        socket.pause();
        vertx.createNetClient().connect(port, AgentProcess.LOOPBACK).onSuccess(onward -> {
            socket.pipeTo(onward);
            onward.pipeTo(socket);
            socket.resume();
        });
    }

    private void keytool(String... arguments) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(
                List.of(Path.of(System.getProperty("java.home"), "bin", "keytool").toString()));
        command.addAll(List.of(arguments));
        Finished keytool = Finished.run(new ProcessBuilder(command), directory.resolve("keytool"), Duration.ofMinutes(1));
        assertThat(keytool.exitCode()).as(keytool.output()).isZero();
    }
}
