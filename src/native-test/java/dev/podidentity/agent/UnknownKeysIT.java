package dev.podidentity.agent;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.emulator.TokenRequest;
import dev.podidentity.emulator.TokenRequest.Algorithm;
import io.vertx.core.json.JsonObject;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.jose4j.lang.JoseException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Tokens whose signing key is unknown or has been removed: the cluster rotates its keys, and a pod can invent any. */
class UnknownKeysIT {

    private static final String FETCH = "GET " + Cluster.KEYS;

    @TempDir
    private Path directory;

    private Cluster cluster;

    @BeforeEach
    void start() throws IOException, InterruptedException {
        cluster = Cluster.start(directory);
    }

    @AfterEach
    void stop() {
        cluster.close();
    }

    @Test
    void manyMadeUpKeysCauseOneFetchAndEachTokenStandsForItself() throws IOException, JoseException {
        try (AgentProcess agent = cluster.verifyingAgent()) {
            // Given
            ForgedTokens forger = new ForgedTokens();
            String genuine = cluster.token("victim");
            String victims = RawHttp.askAsSdk(agent.port(), genuine).body();
            cluster.eksAuth().resetCounts();
            int before = cluster.api().received(FETCH);

            // When
            for (int i = 0; i < 40; i++) {
                String token = forger.signed(genuine, "made-up-" + i);
                RawHttp.Answer answer = RawHttp.askAsSdk(agent.port(), token);

                // Then
                assertThat(answer.status()).isEqualTo(400);
                assertThat(new JsonObject(answer.body()).getString("Message")).startsWith("EKS Auth does not accept the token");
                assertThat(cluster.eksAuth().calls(token)).isOne();
            }
            assertThat(cluster.api().received(FETCH)).isEqualTo(before + 1);
            assertThat(RawHttp.askAsSdk(agent.port(), genuine).body()).isEqualTo(victims);
        }
    }

    @Test
    void aNewKeyIsFetchedWhenItsFirstTokenComes() throws IOException {
        cluster.publish(Algorithm.RS256);
        try (AgentProcess agent = cluster.verifyingAgent()) {
            // Given
            String before = ask(agent, Algorithm.RS256);
            cluster.publish(Algorithm.RS256, Algorithm.ES256);

            // When
            String after = ask(agent, Algorithm.ES256);

            // Then
            assertThat(after).isEqualTo(before);
            assertThat(cluster.eksAuth().calls()).isOne();
        }
    }

    @Test
    void aKeyThatIsWithdrawnVerifiesNothingAnyMore() throws IOException {
        try (AgentProcess agent = cluster.verifyingAgent()) {
            // Given
            List<String> tokens = List.of(cluster.token("pod-1"), cluster.token("pod-2"));
            String shared = RawHttp.askAsSdk(agent.port(), tokens.get(0)).body();
            assertThat(RawHttp.askAsSdk(agent.port(), tokens.get(1)).body()).isEqualTo(shared);
            cluster.publish(Algorithm.ES256);
            fetchAgain(agent);
            cluster.eksAuth().resetCounts();

            // When
            List<String> bodies = List.of(
                    RawHttp.askAsSdk(agent.port(), tokens.get(0)).body(),
                    RawHttp.askAsSdk(agent.port(), tokens.get(1)).body());

            // Then: EKS Auth, which still accepts them here, is called for each
            assertThat(bodies).doesNotHaveDuplicates().doesNotContain(shared);
            assertThat(cluster.eksAuth().calls()).isEqualTo(2);
            assertThat(ask(agent, Algorithm.ES256)).isEqualTo(shared);
        }
    }

    /** Makes the agent fetch the keys again, by a token with an unknown key, and waits for them. */
    private void fetchAgain(AgentProcess agent) throws IOException {
        String genuine = cluster.token("pod-of-an-unknown-key");
        RawHttp.askAsSdk(agent.port(), ForgedTokens.withHeader(genuine, ForgedTokens.header(genuine).put("kid", "unknown")));
        assertThat(agent.lines("Signing keys loaded")).isEqualTo(2);
    }

    private String ask(AgentProcess agent, Algorithm algorithm) throws IOException {
        TokenRequest pod = cluster.request("pod-" + algorithm).withAlgorithm(algorithm);
        RawHttp.Answer answer = RawHttp.askAsSdk(agent.port(), cluster.mint(pod));
        assertThat(answer.status()).isEqualTo(200);
        return answer.body();
    }
}
