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
import org.junit.jupiter.api.Test;

/** An outage of EKS Auth that no pod on the node notices. */
class OutageIT {

    private static final int IDENTITIES = 2000;
    private static final int PODS = 250;

    /** A node that boots while EKS Auth is unreachable: each pod has its own address and identity. */
    @Test
    void podsThatStartWhileEksAuthIsDownCostItAHandfulOfCallsASecondAndAreServedOnceItIsBack() throws IOException {
        try (EksAuthEmulator emulator = Emulators.start();
                AgentProcess agent = AgentProcess.start(emulator, "--max-concurrent-fetches", "20")) {
            // Given
            emulator.resetCounts();
            emulator.inject(new Fault.ErrorAnswer(EksAuthError.SERVICE_UNAVAILABLE));
            List<RawHttp> pods = new ArrayList<>();
            List<String> tokens = new ArrayList<>();
            for (int i = 0; i < PODS; i++) {
                pods.add(RawHttp.from("127.1.0." + (i + 1), AgentProcess.LOOPBACK, agent.port()));
                tokens.add(Emulators.token(emulator, "pod-" + i));
            }
            Instant began = Instant.now();

            // When: with the retries of Java's SDK
            for (int attempt = 0; attempt < 5; attempt++) {
                for (int i = 0; i < PODS; i++) {
                    pods.get(i).send(request(tokens.get(i)));
                }
                for (RawHttp pod : pods) {
                    assertThat(pod.answer().status()).isEqualTo(503);
                }
            }

            // Then
            Duration took = Duration.between(began, Instant.now());
            assertThat(took).isGreaterThan(Duration.ofSeconds(4));
            assertThat(emulator.calls()).isLessThanOrEqualTo(40 + 5 * (int) took.toSeconds());

            // When
            emulator.heal();
            for (int i = 0; i < PODS; i++) {
                pods.get(i).send(request(tokens.get(i)));
            }

            // Then
            for (int i = 0; i < PODS; i++) {
                assertThat(pods.get(i).answerAsSdk(tokens.get(i)).status()).isEqualTo(200);
                pods.get(i).close();
            }
        }
    }

    @Test
    void twoThousandIdentitiesAreServedWhileEksAuthIsDown() throws IOException {
        List<String> tokens = new ArrayList<>();
        try (EksAuthEmulator emulator = Emulators.start();
                AgentProcess agent = AgentProcess.start(emulator);
                RawHttp http = new RawHttp(agent.port())) {
            // Given
            List<String> bodies = new ArrayList<>();
            for (int i = 0; i < IDENTITIES; i++) {
                String token = Emulators.token(emulator, "pod-" + i);
                RawHttp.Answer answer = http.askAsSdk(token);
                assertThat(answer.status()).isEqualTo(200);
                tokens.add(token);
                bodies.add(answer.body());
            }

            // When
            emulator.close();

            // Then
            for (int round = 0; round < 3; round++) {
                for (int i = 0; i < IDENTITIES; i++) {
                    RawHttp.Answer answer = http.send(request(tokens.get(i))).answer();
                    assertThat(answer.status()).isEqualTo(200);
                    assertThat(answer.body()).as("its own credentials").isEqualTo(bodies.get(i));
                }
            }
            assertThat(RawHttp.exchange(agent.port("probes"), request("GET", "/readyz", "Host: x")).status())
                    .as("an outage of EKS Auth fails no probe")
                    .isEqualTo(200);
        }
    }
}
