package dev.podidentity.agent;

import static dev.podidentity.agent.RawHttp.request;
import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.emulator.EksAuthEmulator;
import io.vertx.core.json.JsonObject;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What a pod may take of the agent. */
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
            // Given: one that stops at once, and one that stops in its second request
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
            RawHttp.Answer throttled = answers.stream().filter(answer -> answer.status() == 429).findFirst().orElseThrow();
            assertThat(throttled.header("content-type")).contains("application/json");
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

            // The kernel's buffers take some; then the agent's answers pile up and it closes.
            assertThat(deaf.sendUntilRefused(flood, 10_000)).isTrue();
            assertThat(RawHttp.askAsSdk(agent.port(), Emulators.token(emulator, "pod-good")).status())
                    .isEqualTo(200);
        }
    }
}
