package dev.podidentity.agent;

import static dev.podidentity.agent.RawHttp.request;
import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.emulator.EksAuthEmulator;
import dev.podidentity.emulator.Gate;
import io.vertx.core.json.JsonObject;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The agent's limits for a single pod. */
@Timeout(60)
class LimitsIT {

    private static EksAuthEmulator emulator;

    @BeforeAll
    static void start() {
        emulator = Emulators.start();
    }

    @AfterAll
    static void stop() {
        emulator.close();
    }

    @Test
    void headersThatDoNotComeInTimeEndTheConnection() throws IOException {
        try (AgentProcess agent = AgentProcess.start(emulator, "--header-timeout", "300ms");
                RawHttp slow = new RawHttp(agent.port());
                RawHttp second = new RawHttp(agent.port())) {
            // Given: one connection that stalls at once, and one that stalls in its second request
            slow.send("GET /v1/credentials HTTP/1.1\r\nHost: 169");
            second.send(request("GET", "/x", "Host: 169.254.170.23")).answer();
            second.send("GET /v1/");

            // Then
            assertThat(slow.closedByPeer()).isTrue();
            assertThat(second.closedByPeer()).isTrue();
            assertThat(RawHttp.askAsSdk(agent.port(), Emulators.token(emulator, "pod-fast")).status())
                    .isEqualTo(200);
        }
    }

    @Test
    void anIdleConnectionIsClosed() throws IOException {
        try (AgentProcess agent = AgentProcess.start(emulator, "--idle-timeout", "300ms");
                RawHttp silent = new RawHttp(agent.port());
                RawHttp idle = new RawHttp(agent.port())) {
            idle.send(request("GET", "/x", "Host: 169.254.170.23")).answer();

            assertThat(silent.closedByPeer()).isTrue();
            assertThat(idle.closedByPeer()).isTrue();
        }
    }

    @Test
    void aSourceOverItsRateIsThrottled() throws IOException {
        try (AgentProcess agent = AgentProcess.start(
                        emulator, "--source-requests-per-second", "1", "--source-request-burst", "3");
                RawHttp http = new RawHttp(agent.port())) {
            // When
            List<RawHttp.Answer> answers = new ArrayList<>();
            for (int i = 0; i < 10; i++) {
                answers.add(http.send(request("GET", "/x", "Host: 169.254.170.23")).answer());
            }

            // Then
            assertThat(answers.subList(0, 3)).allSatisfy(answer -> assertThat(answer.status()).isEqualTo(404));
            RawHttp.Answer throttled = answers.stream().filter(answer -> answer.status() == 503).findFirst().orElseThrow();
            assertThat(throttled.header("content-type")).contains("application/json");
            assertThat(throttled.header("retry-after")).contains("1");
            assertThat(new JsonObject(throttled.body()).getString("Code")).isEqualTo("ThrottlingException");
        }
    }

    @Test
    void aSourceHasOnlySoManyConnections() throws IOException {
        try (AgentProcess agent = AgentProcess.start(emulator, "--max-connections-per-source", "2");
                RawHttp first = new RawHttp(agent.port());
                RawHttp second = new RawHttp(agent.port())) {
            first.send(request("GET", "/x", "Host: 169.254.170.23")).answer();
            second.send(request("GET", "/x", "Host: 169.254.170.23")).answer();

            try (RawHttp third = new RawHttp(agent.port())) {
                assertThat(third.closedByPeer()).isTrue();
            }
            assertThat(first.send(request("GET", "/x", "Host: 169.254.170.23")).answer().status()).isEqualTo(404);
        }
    }

    @Test
    void aPodThatHoardsConnectionsLosesOneToAnotherPod() throws IOException {
        try (AgentProcess agent = AgentProcess.start(
                        emulator, "--max-connections", "3", "--bind-hosts", "127.0.0.2");
                RawHttp first = hoard(agent);
                RawHttp second = hoard(agent);
                RawHttp third = hoard(agent)) {
            // When: from 127.0.0.2 itself
            try (RawHttp other = RawHttp.from("127.0.0.2", "127.0.0.2", agent.port("credentials", "127.0.0.2"))) {
                // Then
                assertThat(other.send(request("GET", "/x", "Host: 169.254.170.23")).answer().status()).isEqualTo(404);
                assertThat(first.closedByPeer()).isTrue();
                assertThat(second.send(request("GET", "/x", "Host: 169.254.170.23")).answer().status()).isEqualTo(404);
                assertThat(third.send(request("GET", "/x", "Host: 169.254.170.23")).answer().status()).isEqualTo(404);
            }
        }
    }

    private static RawHttp hoard(AgentProcess agent) throws IOException {
        RawHttp http = RawHttp.from("127.0.0.1", "127.0.0.2", agent.port("credentials", "127.0.0.2"));
        http.send(request("GET", "/x", "Host: 169.254.170.23")).answer();
        return http;
    }

    @Test
    void anEndlessBodyIsNotRead() throws IOException {
        try (AgentProcess agent = AgentProcess.start(emulator);
                RawHttp endless = new RawHttp(agent.port())) {
            endless.send(request("POST", "/v1/credentials", "Host: 169.254.170.23", "Transfer-Encoding: chunked"));

            assertThat(endless.answer().status()).isEqualTo(405);
            assertThat(endless.send("5\r\nhello\r\n").closedByPeer()).isTrue();
        }
    }

    @Test
    void aClientThatReadsNothingIsDropped() throws IOException {
        try (AgentProcess agent = AgentProcess.start(emulator);
                RawHttp deaf = new RawHttp(agent.port())) {
            String flood = request("GET", "/x", "Host: 169.254.170.23").repeat(500);

            // The kernel's buffers take some; then the agent's responses pile up and it closes the connection.
            assertThat(deaf.sendUntilRefused(flood, 10_000)).isTrue();
            assertThat(RawHttp.askAsSdk(agent.port(), Emulators.token(emulator, "pod-good")).status())
                    .isEqualTo(200);
        }
    }

    @Test
    void aPodThatPipelinesWithoutEndIsDroppedAndNobodyElseNotices() throws IOException {
        try (AgentProcess agent = AgentProcess.start(emulator);
                RawHttp greedy = new RawHttp(agent.port())) {
            // Given: a waiting request, and thousands behind it
            Gate gate = emulator.hold();
            String flood = "GET /x HTTP/1.1\r\n\r\n".repeat(1000);

            // When
            boolean dropped = greedy.send(request(Emulators.token(emulator, "pod-greedy"))).sendUntilRefused(flood, 10_000);
            gate.release();

            // Then
            assertThat(dropped).isTrue();
            assertThat(RawHttp.askAsSdk(agent.port(), Emulators.token(emulator, "pod-other")).status()).isEqualTo(200);
        }
    }

    @Test
    void nothingIsAnsweredAfterTheLastAnswer() throws IOException {
        try (AgentProcess agent = AgentProcess.start(emulator)) {
            String token = Emulators.token(emulator, "pod-1");
            RawHttp.askAsSdk(agent.port(), token);
            for (String framing : new String[] {"Content-Length: 5", "Transfer-Encoding: chunked", "Transfer-Encoding: xchunked"}) {
                try (RawHttp http = new RawHttp(agent.port())) {
                    // When: a body that may be another request
                    http.send(request("GET", "/v1/credentials", "Host: 169.254.170.23", "Authorization: " + token, framing)
                            + "hello" + request(token));

                    // Then
                    assertThat(http.answer().status()).isEqualTo(413);
                    assertThat(http.closedByPeer()).as(framing).isTrue();
                }
            }
        }
    }

    @Test
    void aPodThatMakesUpTokensCostsEksAuthAHandfulOfCalls() throws IOException {
        try (AgentProcess agent = AgentProcess.start(emulator);
                RawHttp forger = RawHttp.from("127.0.0.2", AgentProcess.LOOPBACK, agent.port())) {
            // Given
            emulator.resetCounts();
            String good = Emulators.token(emulator, "pod-good");
            String unsigned = good.substring(0, good.lastIndexOf('.') + 1);

            // When
            Instant began = Instant.now();
            int throttled = 0;
            for (int i = 0; i < 1000; i++) {
                String forged = unsigned + "Zm9yZ2Vk" + String.format("%04d", i);
                throttled += forger.send(request(forged)).answer().status() == 503 ? 1 : 0;
            }

            // Then: a hundred at once, and ten per second
            int allowed = 101 + 10 * (int) Duration.between(began, Instant.now()).plusSeconds(1).toSeconds();
            assertThat(emulator.calls()).isLessThanOrEqualTo(allowed);
            assertThat(throttled).isGreaterThanOrEqualTo(1000 - allowed);
            assertThat(RawHttp.askAsSdk(agent.port(), good).status()).as("another source").isEqualTo(200);
        }
    }

    @Test
    void requestsForMetricsAndProbesAreLimitedForEachSourceAndListener() throws IOException {
        try (AgentProcess agent = AgentProcess.start(emulator);
                RawHttp scraper = new RawHttp(agent.port("metrics"));
                RawHttp kubelet = new RawHttp("localhost", agent.port("probes"))) {
            List<Integer> statuses = new ArrayList<>();
            for (int i = 0; i < 150; i++) {
                statuses.add(scraper.send(request("GET", "/metrics", "Host: x")).answer().status());
            }
            List<Integer> others = new ArrayList<>();
            for (int i = 0; i < 200; i++) {
                others.add(scraper.send(request("GET", "/x", "Host: x")).answer().status());
            }

            assertThat(statuses.subList(0, 50)).containsOnly(200);
            assertThat(statuses).contains(429);
            assertThat(others).contains(404, 429);
            assertThat(kubelet.send(request("GET", "/healthz", "Host: x")).answer().status()).isEqualTo(200);
        }
    }
}
