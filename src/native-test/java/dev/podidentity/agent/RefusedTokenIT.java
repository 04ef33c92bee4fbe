package dev.podidentity.agent;

import static dev.podidentity.agent.RawHttp.request;
import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.emulator.EksAuthError;
import dev.podidentity.emulator.Fault;
import dev.podidentity.emulator.Gate;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A token with a genuine signature that EKS Auth refuses nevertheless. */
@Timeout(120)
class RefusedTokenIT {

    @TempDir
    private Path directory;

    private Cluster cluster;
    private AgentProcess agent;

    @BeforeEach
    void start() throws IOException, InterruptedException {
        cluster = Cluster.start(directory);
        agent = cluster.verifyingAgent();
    }

    @AfterEach
    void stop() {
        agent.close();
        cluster.close();
    }

    @Test
    void neverFindsWhatOtherPodsOfItsServiceAccountShare() throws IOException {
        // Given
        String refused = cluster.token("refused");
        String other = cluster.token("other");
        refuse(refused);
        int first = RawHttp.askAsSdk(agent.port(), refused).status();
        RawHttp.Answer shared = RawHttp.askAsSdk(agent.port(), other);

        // When
        RawHttp.Answer again = RawHttp.askAsSdk(agent.port(), refused);

        // Then
        assertThat(first).isEqualTo(400);
        assertThat(shared.status()).isEqualTo(200);
        assertThat(again.status()).isEqualTo(400);
        assertThat(again.body()).contains("InvalidTokenException");
        assertThat(RawHttp.askAsSdk(agent.port(), other).body()).as("still shared").isEqualTo(shared.body());
        assertThat(cluster.eksAuth().calls(refused)).isOne();
    }

    @Test
    void isToldSoThoughItWaitsWithAnotherPodWhichIsServed() throws IOException {
        // Given: two pods that wait for one call
        String refused = cluster.token("refused");
        String other = cluster.token("other");
        refuse(refused);
        Gate gate = cluster.eksAuth().hold();
        try (RawHttp first = new RawHttp(agent.port()).send(request(refused))) {
            cluster.eksAuth().whenCalls(1).orTimeout(10, TimeUnit.SECONDS).join();
            try (RawHttp second = new RawHttp(agent.port()).send(request(other))) {
                while (agent.metric("pod_identity_waiting_requests") < 2) {
                    Thread.onSpinWait();
                }

                // When
                gate.release();

                // Then
                assertThat(first.answer().status()).isEqualTo(400);
                assertThat(second.answer().status()).isEqualTo(200);
            }
        }
    }

    private void refuse(String token) {
        cluster.eksAuth().injectFor(token, Fault.after(Duration.ofMillis(1), new Fault.ErrorAnswer(EksAuthError.INVALID_TOKEN)));
    }
}
