package dev.podidentity.agent;

import static dev.podidentity.agent.RawHttp.request;
import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.emulator.EksAuthEmulator;
import dev.podidentity.emulator.EksAuthError;
import dev.podidentity.emulator.Fault;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** How many calls to EKS Auth one pod can cause, given that the quota is that of the account. */
@Timeout(120)
class EksAuthBudgetIT {

    private static final String HOSTILE = "127.0.0.2";
    private static final String OTHER = "127.0.0.3";
    private static final String BYSTANDER = "127.0.0.4";
    private static final int CONNECTIONS = 60;
    /** Keeps the requests of a round within the limit of one source. */
    private static final int PIPELINED = 5;
    private static final int ROUNDS = 12;
    private static final int REQUESTS = ROUNDS * CONNECTIONS * PIPELINED;
    private static final String REFUSALS = "pod_identity_limit_rejections_total{limit=\"refusals\",}";

    private EksAuthEmulator emulator;

    @BeforeEach
    void start() {
        emulator = Emulators.start();
    }

    @AfterEach
    void stop() {
        emulator.close();
    }

    @Test
    void thousandsOfMadeUpTokensAtOnceCostAHundredCallsAndTenASecond() throws IOException {
        try (AgentProcess agent = AgentProcess.start(emulator);
                Bystander bystander = Bystander.of(agent, BYSTANDER, Emulators.token(emulator, "bystander"))) {
            // Given: no call is refused before hundreds are in flight
            emulator.resetCounts();
            emulator.inject(new Fault.Latency(Duration.ofMillis(200)));

            // When
            Instant began = Instant.now();
            List<RawHttp.Answer> answers = attack(agent);

            // Then
            assertThat(emulator.calls()).isLessThanOrEqualTo(allowedSince(began));
            assertThat(answers).hasSize(REQUESTS).extracting(RawHttp.Answer::status).isSubsetOf(400, 503);
            assertThat(agent.metric(REFUSALS)).isGreaterThanOrEqualTo(REQUESTS / 2);
            assertThat(agent.lines("A limit rejected requests from a source address", "\"source\":\"" + HOSTILE + '"', "refusals"))
                    .isPositive();
            emulator.heal();
            assertThat(askFrom(OTHER, agent, Emulators.token(emulator, "other")).status()).isEqualTo(200);
            bystander.asks(5);
        }
    }

    @Test
    void thousandsOfTokensWhileEksAuthThrottlesCostAHandfulOfCallsASecond() throws IOException {
        try (AgentProcess agent = AgentProcess.start(emulator);
                Bystander bystander = Bystander.of(agent, BYSTANDER, Emulators.token(emulator, "bystander"))) {
            // Given
            emulator.resetCounts();
            emulator.inject(Fault.after(Duration.ofMillis(50), new Fault.ErrorAnswer(EksAuthError.THROTTLING)));

            // When
            Instant began = Instant.now();
            List<RawHttp.Answer> answers = attack(agent);

            // Then
            assertThat(emulator.calls()).isLessThanOrEqualTo(allowedSince(began));
            assertThat(answers).hasSize(REQUESTS).extracting(RawHttp.Answer::status).containsOnly(503);
            emulator.heal();
            assertThat(askFrom(OTHER, agent, Emulators.token(emulator, "other")).status()).isEqualTo(200);
            bystander.asks(5);
        }
    }

    @Test
    void manyPodsOfOneAddressAreServedAllTheSame() throws IOException {
        try (AgentProcess agent = AgentProcess.start(emulator)) {
            // Given: as many tokens as a node has pods, all from the node's own address
            emulator.inject(new Fault.Latency(Duration.ofMillis(20)));
            List<String> tokens = new ArrayList<>();
            List<RawHttp> pods = new ArrayList<>();
            for (int i = 0; i < 250; i++) {
                tokens.add(Emulators.token(emulator, "pod-" + i));
                pods.add(RawHttp.from(OTHER, AgentProcess.LOOPBACK, agent.port()).send(request(tokens.get(i))));
            }

            // Then: immediately, or after a retry if the agent is cold
            for (int i = 0; i < 250; i++) {
                try (RawHttp pod = pods.get(i)) {
                    RawHttp.Answer answer = pod.answer();
                    assertThat((answer.status() == 503 ? pod.askAsSdk(tokens.get(i)) : answer).status()).isEqualTo(200);
                }
            }
            assertThat(agent.metric(REFUSALS)).isZero();
            assertThat(emulator.calls()).isEqualTo(250);
        }
    }

    private static int allowedSince(Instant began) {
        return 101 + 10 * (int) Duration.between(began, Instant.now()).plusSeconds(1).toSeconds();
    }

    /** Sends thousands of forged tokens, hundreds at a time; returns all responses. */
    private List<RawHttp.Answer> attack(AgentProcess agent) throws IOException {
        String genuine = Emulators.token(emulator, "victim");
        String unsigned = genuine.substring(0, genuine.lastIndexOf('.') + 1);
        List<RawHttp.Answer> answers = new ArrayList<>();
        for (int round = 0; round < ROUNDS; round++) {
            List<RawHttp> connections = new ArrayList<>();
            for (int i = 0; i < CONNECTIONS; i++) {
                StringBuilder requests = new StringBuilder();
                for (int j = 0; j < PIPELINED; j++) {
                    requests.append(request(unsigned + "Zm9yZ2Vk" + String.format("%02d%02d%04d", round, i, j)));
                }
                connections.add(RawHttp.from(HOSTILE, AgentProcess.LOOPBACK, agent.port()).send(requests.toString()));
            }
            for (RawHttp connection : connections) {
                for (int j = 0; j < PIPELINED; j++) {
                    answers.add(connection.answer());
                }
                connection.close();
            }
        }
        return answers;
    }

    private static RawHttp.Answer askFrom(String source, AgentProcess agent, String token) throws IOException {
        try (RawHttp http = RawHttp.from(source, AgentProcess.LOOPBACK, agent.port())) {
            return http.askAsSdk(token);
        }
    }
}
