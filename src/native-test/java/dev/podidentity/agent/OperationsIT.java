package dev.podidentity.agent;

import static dev.podidentity.agent.RawHttp.request;
import static io.restassured.RestAssured.given;
import static org.assertj.core.api.Assertions.assertThat;
import static org.hamcrest.Matchers.containsString;
import static org.hamcrest.Matchers.equalTo;

import dev.podidentity.emulator.EksAuthEmulator;
import dev.podidentity.emulator.EksAuthError;
import dev.podidentity.emulator.Fault;
import io.vertx.core.json.JsonObject;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;

/** Probes, metrics, and listeners that fail independently. */
class OperationsIT {

    private static final Path METRICS_PAGE = Path.of("docs/metrics.md");
    private static final Map<String, String> WITHOUT_CREDENTIALS =
            Map.of("AWS_REGION", "us-west-2", "AWS_EC2_METADATA_DISABLED", "true");

    @Test
    void probesAnswerOnBothPorts() {
        try (EksAuthEmulator emulator = Emulators.start(); AgentProcess agent = AgentProcess.start(emulator)) {
            for (String listener : new String[] {"probes", "metrics"}) {
                given().port(agent.port(listener)).get("/healthz").then().statusCode(200).body(equalTo("ok\n"));
                given().port(agent.port(listener)).get("/readyz").then().statusCode(200).body(equalTo("ok\n"));
                given().port(agent.port(listener)).get("/nothing").then().statusCode(404);
            }
        }
    }

    @Test
    void aPathThatCannotBeDecodedIsNoErrorOfTheAgent() throws IOException {
        try (EksAuthEmulator emulator = Emulators.start(); AgentProcess agent = AgentProcess.start(emulator)) {
            for (String listener : new String[] {"probes", "metrics"}) {
                try (RawHttp http = new RawHttp("localhost", agent.port(listener))) {
                    assertThat(http.send(request("GET", "/%zz", "Host: localhost")).answer().status()).isEqualTo(400);
                }
            }
            agent.terminate();
            agent.awaitExit();
            assertThat(agent.lines("\"level\":\"error\"")).isZero();
        }
    }

    /** Only for the native executable: on a JVM both limits are a fraction of the machine's memory. */
    @Test
    @EnabledIfSystemProperty(named = "agent.executable", matches = ".+")
    void memoryIsShownAgainstTheLimitsOfTheBuild() throws IOException {
        try (EksAuthEmulator emulator = Emulators.start(); AgentProcess agent = AgentProcess.start(emulator)) {
            long direct = (long) agent.metric("pod_identity_direct_memory_max_bytes");
            long heap = (long) agent.metric("pod_identity_heap_max_bytes");

            assertThat(Files.readString(Path.of("src/main/resources/application.properties")))
                    .contains("-R:MaxDirectMemorySize=" + (direct >> 20) + "m", "-R:MaxHeapSize=" + (heap >> 20) + "m");
        }
    }

    @Test
    void theMetricsPageListsWhatAScrapeShowsAndNothingElse() throws IOException {
        try (EksAuthEmulator emulator = Emulators.start();
                AgentProcess agent = AgentProcess.start(emulator, "--max-cache-size", "1")) {
            // Given: at least one event for every metric
            String first = Emulators.token(emulator, "pod-1");
            RawHttp.askAsSdk(agent.port(), first);
            RawHttp.askAsSdk(agent.port(), first);
            RawHttp.askAsSdk(agent.port(), Emulators.token(emulator, "pod-2"));
            emulator.inject(new Fault.ErrorAnswer(EksAuthError.ACCESS_DENIED));
            RawHttp.askAsSdk(agent.port(), Emulators.token(emulator, "pod-3"));
            RawHttp.exchange(agent.port(), request("nonsense"));

            // When
            String scrape = given().port(agent.port("metrics")).header("Accept", "text/plain").get("/metrics")
                    .then().statusCode(200).extract().asString();

            // Then
            Set<String> scraped = families(scrape, Pattern.compile("(?m)^# TYPE (pod_identity_\\S+) "));
            // Appears only after a failed renewal, which takes longer than this test.
            scraped.add("pod_identity_cache_errors_total");
            Set<String> documented =
                    families(Files.readString(METRICS_PAGE), Pattern.compile("(?m)^\\| `(pod_identity_[a-z_]+)` \\|"));
            assertThat(scraped).isEqualTo(documented);
            assertThat(scrape).contains(
                    "pod_identity_requests_total{code=\"200\",outcome=\"served\",} 3.0",
                    "pod_identity_requests_total{code=\"400\",outcome=\"bad_token\",} 1.0",
                    "pod_identity_requests_total{code=\"403\",outcome=\"refused\",} 1.0",
                    "pod_identity_cache_state_total{state=\"hit\",} 1.0",
                    "pod_identity_cache_state_total{state=\"miss\",} 3.0",
                    "pod_identity_cache_state_total{state=\"evicted\",} 1.0",
                    "pod_identity_http_response_total{code=\"200\",} 3.0",
                    "pod_identity_cache_evictions_total{cause=\"size\",} 1.0",
                    "pod_identity_upstream_duration_seconds_count{code=\"none\",outcome=\"success\",} 2.0",
                    "pod_identity_upstream_duration_seconds_count{code=\"AccessDeniedException\",outcome=\"refused\",} 1.0",
                    "pod_identity_cache_entries 1.0",
                    "pod_identity_waiting_requests 0.0",
                    "pod_identity_agent_credentials 1.0",
                    "pod_identity_listener_up{address=\"127.0.0.1:0\",listener=\"credentials\",} 1.0");
            assertThat(scrape).contains("jvm_memory_used_bytes{", "jvm_threads_live_threads ", "process_cpu_usage ",
                    "process_files_open_files ", "process_uptime_seconds ", "system_cpu_count ");
            assertThat(scrape).doesNotContain("emulated-", "eyJ", "pod-1");
        }
    }

    private static Set<String> families(String text, Pattern name) {
        Set<String> families = new TreeSet<>();
        for (Matcher matcher = name.matcher(text); matcher.find(); ) {
            if (!matcher.group(1).endsWith("_seconds_max")) {
                families.add(matcher.group(1));
            }
        }
        return families;
    }

    @Test
    void aHostilePodAddsNoTimeSeries() throws IOException {
        try (EksAuthEmulator emulator = Emulators.start();
                AgentProcess agent = AgentProcess.start(emulator);
                RawHttp http = new RawHttp(agent.port())) {
            http.send(request("GET", "/x0", "Host: h")).answer();
            http.send(request("M0", "/v1/credentials", "Host: 169.254.170.23")).answer();
            long before = series(agent);

            for (int i = 1; i < 200; i++) {
                http.send(request("GET", "/x" + i, "Host: h" + i)).answer();
                http.send(request("M" + i, "/v1/credentials", "Host: 169.254.170.23")).answer();
            }

            assertThat(series(agent)).isEqualTo(before);
        }
    }

    private static long series(AgentProcess agent) {
        return given().port(agent.port("metrics")).header("Accept", "text/plain").get("/metrics").asString()
                .lines().filter(line -> line.startsWith("pod_identity_")).count();
    }

    @Test
    void anAddressThatThisNodeDoesNotHaveIsNobodyElsesTrouble() throws IOException {
        try (EksAuthEmulator emulator = Emulators.start();
                AgentProcess agent = AgentProcess.start(emulator, "--bind-hosts", "192.0.2.1")) {
            assertThat(RawHttp.exchange(agent.port("credentials", "127.0.0.1"),
                            request(Emulators.token(emulator, "pod-1"))).status())
                    .isEqualTo(200);
            given().port(agent.port("probes")).get("/readyz").then().statusCode(200);
            given().port(agent.port("metrics")).header("Accept", "text/plain").get("/metrics").then().statusCode(200)
                    .body(containsString(
                            "pod_identity_listener_up{address=\"192.0.2.1:0\",listener=\"credentials\",} 0.0"));
            agent.awaitLine(line -> line.contains("cannot be bound") && line.contains("192.0.2.1"));
        }
    }

    @Test
    void aPortThatIsTakenIsBoundOnceItIsFree() throws IOException {
        try (EksAuthEmulator emulator = Emulators.start();
                ServerSocket taken = new ServerSocket(0, 1, InetAddress.getByName("127.0.0.1"));
                AgentProcess agent = AgentProcess.start(emulator, "--port", Integer.toString(taken.getLocalPort()),
                        "--bind-retry-interval", "100ms")) {
            // Given
            agent.awaitLine(line -> line.contains("cannot be bound") && line.contains("in use"));
            given().port(agent.port("probes")).get("/readyz").then().statusCode(503);
            given().port(agent.port("probes")).get("/healthz").then().statusCode(200);

            // When
            taken.close();

            // Then
            agent.awaitLine(line -> line.contains("\"msg\":\"Listening\",\"listener\":\"credentials\""));
            given().port(agent.port("probes")).get("/readyz").then().statusCode(200);
        }
    }

    @Test
    void aTakenProbeOrMetricsPortLeavesCredentialsAlone() throws IOException {
        try (EksAuthEmulator emulator = Emulators.start();
                ServerSocket probe = new ServerSocket(0, 1, InetAddress.getByName("localhost"));
                ServerSocket metrics = new ServerSocket(0, 1, InetAddress.getByName("127.0.0.1"));
                AgentProcess agent = AgentProcess.start(emulator,
                        "--probe-port", Integer.toString(probe.getLocalPort()),
                        "--metrics-port", Integer.toString(metrics.getLocalPort()))) {
            assertThat(RawHttp.askAsSdk(agent.port(), Emulators.token(emulator, "pod-1")).status())
                    .isEqualTo(200);
        }
    }

    @Test
    void bothFamiliesShareOneCache() throws IOException {
        try (EksAuthEmulator emulator = Emulators.start();
                AgentProcess agent = AgentProcess.start(emulator, "--bind-hosts", "::1")) {
            // Given
            String token = Emulators.token(emulator, "pod-1");
            int v4 = agent.port("credentials", "127.0.0.1");
            int v6 = agent.port("credentials", "[::1]");

            // When
            RawHttp.Answer overV4 = RawHttp.askAsSdk(v4, token);
            try (RawHttp http = new RawHttp("::1", v6)) {
                RawHttp.Answer overV6 = http.send(request(token)).answer();

                // Then
                assertThat(overV6.status()).isEqualTo(200);
                assertThat(overV6.body()).isEqualTo(overV4.body());
                assertThat(emulator.calls(token)).isOne();
            }
        }
    }

    @Test
    void anUpstreamCallIsOneLineAndAHitIsNone() throws IOException {
        try (EksAuthEmulator emulator = Emulators.start(); AgentProcess agent = AgentProcess.start(emulator)) {
            String token = Emulators.token(emulator, "pod-1");
            RawHttp.askAsSdk(agent.port(), token);
            String line = agent.awaitLine(text -> text.contains("EKS Auth issued credentials"));
            for (int i = 0; i < 10; i++) {
                RawHttp.askAsSdk(agent.port(), token);
            }

            assertThat(line).contains("\"level\":\"info\"", "\"namespace\":\"default\"", "\"serviceAccount\":\"demo\"",
                    "\"pod\":\"pod-1\"", "\"role\":\"arn:aws:sts::123456789012:assumed-role/demo/", "\"association\":\"a-",
                    "\"expiration\":\"", "\"millis\":");
            assertThat(agent.output().stream()
                            .filter(text -> !text.contains("\"level\":\"trace\"") && text.contains("credentials"))
                            .filter(text -> text.contains("Served") || text.contains("issued")))
                    .hasSize(1);
        }
    }

    @Test
    void anErrorStandsInOneLineOfJsonWithItsStackTrace() {
        try (AgentProcess agent = AgentProcess.run(WITHOUT_CREDENTIALS, anyServer("--verbosity", "debug"))) {
            JsonObject line = new JsonObject(agent.awaitLine(text -> text.contains("The sources of credentials that were tried")));

            assertThat(line.getString("level")).isEqualTo("debug");
            assertThat(line.getString("error")).startsWith("software.amazon.awssdk").contains("\n\tat ");
        }
    }

    @Test
    void aLogForPeopleIsTextWithTheStackTraceBelow() {
        try (AgentProcess agent =
                AgentProcess.run(WITHOUT_CREDENTIALS, anyServer("--verbosity", "debug", "--log-format", "text"))) {
            assertThat(agent.awaitLine(text -> text.contains("The sources of credentials that were tried")))
                    .matches("\\d{4}-\\d\\d-\\d\\dT\\S+Z debug   The sources of credentials that were tried");
            agent.awaitLine(text -> text.startsWith("software.amazon.awssdk"));
            agent.awaitLine(text -> text.startsWith("\tat "));
            assertThat(agent.awaitLine(text -> text.contains("Started"))).contains(" info    Started version=", " cluster=any");
        }
    }

    private static String[] anyServer(String... flags) {
        return Stream.concat(
                        Stream.of("server", "-c", "any", "--bind-hosts", AgentProcess.LOOPBACK, "--port", "0", "--probe-port", "0",
                                "--metrics-address", AgentProcess.LOOPBACK, "--metrics-port", "0"),
                        Stream.of(flags))
                .toArray(String[]::new);
    }
}
