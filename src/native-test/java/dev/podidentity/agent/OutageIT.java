package dev.podidentity.agent;

import static dev.podidentity.agent.RawHttp.request;
import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.emulator.EksAuthEmulator;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** EKS Auth is gone, and nobody on the node notices. */
class OutageIT {

    private static final int IDENTITIES = 2000;

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
