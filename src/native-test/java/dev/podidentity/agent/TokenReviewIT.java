package dev.podidentity.agent;

import static dev.podidentity.agent.RawHttp.request;
import static org.assertj.core.api.Assertions.assertThat;

import io.vertx.core.json.JsonObject;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The API server verifies tokens, for clusters that do not publish all their keys. */
class TokenReviewIT {

    private static final String API_SERVER = "pod_identity_token_verifications_total{verdict=\"api_server\",}";

    @TempDir
    private static Path directory;

    private static Cluster cluster;

    private AgentProcess agent;

    @BeforeAll
    static void startCluster() throws IOException, InterruptedException {
        cluster = Cluster.start(directory);
        cluster.eksAuth().associate(Emulators.NAMESPACE, "reviewed", "arn:aws:iam::123456789012:role/reviewed");
    }

    @AfterAll
    static void stopCluster() {
        cluster.close();
    }

    @BeforeEach
    void start() {
        agent = cluster.agent("--token-verification", "token-review");
        Cluster.awaitVerified(agent, cluster.eksAuth());
    }

    @AfterEach
    void stop() {
        agent.close();
    }

    private RawHttp.Answer ask(String token) throws IOException {
        return RawHttp.askAsSdk(agent.port(), token);
    }

    @Test
    void podsThatItVouchesForShareOneCall() throws IOException {
        // When
        List<String> bodies = new ArrayList<>();
        for (int i = 0; i < 5; i++) {
            bodies.add(ask(cluster.mint(cluster.request(Emulators.NAMESPACE, "reviewed", "pod-" + i))).body());
        }

        // Then
        assertThat(bodies.stream().distinct()).hasSize(1);
        assertThat(cluster.eksAuth().calls()).isOne();
    }

    @Test
    void itIsAskedOnceForAToken() throws IOException {
        // Given
        String token = cluster.token("pod-1");

        // When: some at once, and some later
        List<RawHttp> connections = new ArrayList<>();
        for (int i = 0; i < 20; i++) {
            connections.add(new RawHttp(agent.port()).send(request(token)));
        }
        for (RawHttp connection : connections) {
            try (connection) {
                assertThat(connection.answer().status()).isEqualTo(200);
            }
        }
        for (int i = 0; i < 20; i++) {
            assertThat(ask(token).status()).isEqualTo(200);
        }

        // Then
        assertThat(cluster.reviews(token)).isOne();
    }

    @Test
    void whatItDoesNotAcceptIsRefusedWithoutACall() throws IOException {
        // Given
        String genuine = cluster.token("victim");
        String forged = ForgedTokens.withClaims(genuine, Cluster.claims(genuine).put("jti", "forged"));
        ask(genuine);
        cluster.eksAuth().resetCounts();

        // When
        RawHttp.Answer answer = ask(forged);
        RawHttp.Answer again = ask(forged);

        // Then
        assertThat(answer.status()).isEqualTo(400);
        assertThat(new JsonObject(answer.body()).getString("Message")).startsWith("The API server does not accept the token");
        assertThat(again.body()).isEqualTo(answer.body());
        assertThat(cluster.reviews(forged)).isOne();
        assertThat(cluster.eksAuth().calls()).isZero();
    }

    /** The error message contains a name that a user chose. */
    @ParameterizedTest
    @ValueSource(strings = {"etcd-backup", "geofence", "timeout", "connection-pool", "unavailable"})
    void aServiceAccountThatIsGoneIsRefusedWhateverItsName(String name) throws IOException {
        // Given
        cluster.api().answer(Cluster.REVIEWS, 201, new JsonObject()
                .put("status", new JsonObject()
                        .put("user", new JsonObject())
                        .put("error", "[invalid bearer token, serviceaccounts \"" + name + "\" not found]"))
                .encode());
        try {
            // When
            RawHttp.Answer answer = ask(cluster.mint(cluster.request(Emulators.NAMESPACE, name, "pod-1")));

            // Then
            assertThat(answer.status()).isEqualTo(400);
            assertThat(cluster.eksAuth().calls()).isZero();
        } finally {
            cluster.review();
        }
    }

    /** A starting API server refuses everyone until it has read the cluster's roles. */
    @Test
    void anApiServerThatHasJustStartedIsAskedAgainSoonAfterItHasSaidForbidden() throws IOException {
        // Given
        cluster.api().answer(Cluster.REVIEWS, 403, "{}");
        try {
            ask(cluster.token("pod-1"));
            agent.awaitLine(line -> line.contains("The API server cannot review tokens"));
        } finally {
            cluster.review();
        }

        // When
        Cluster.awaitVerified(agent, cluster.eksAuth());

        // Then
        agent.awaitLine(line -> line.contains("The API server reviews tokens again"));
    }

    /** A verdict stays valid while reviews are not permitted. */
    @Test
    void aTokenThatWasRefusedStaysRefusedWhileTheAgentMayNotAsk() throws IOException {
        // Given
        String genuine = cluster.token("victim");
        String forged = ForgedTokens.withClaims(genuine, Cluster.claims(genuine).put("jti", "forged"));
        assertThat(ask(forged).status()).isEqualTo(400);
        cluster.api().answer(Cluster.REVIEWS, 403, "{}");
        try {
            ask(genuine);
            cluster.eksAuth().resetCounts();

            // Then
            assertThat(ask(forged).status()).isEqualTo(400);
            assertThat(cluster.eksAuth().calls()).isZero();
        } finally {
            cluster.review();
        }
    }

    @Test
    void aTokenOfAPodOfAnotherNodeIsForbiddenHere() throws IOException {
        RawHttp.Answer answer = ask(cluster.mint(cluster.request("pod-1").withNode("node-2")));

        assertThat(answer.status()).isEqualTo(403);
        assertThat(cluster.eksAuth().calls()).isZero();
    }

    @Test
    void whileItIsAwayTokensStandForThemselvesButThoseThatItVouchedFor() throws IOException {
        // Given
        String vouchedFor = cluster.token("pod-1");
        String shared = ask(vouchedFor).body();
        double before = agent.metric(API_SERVER);
        cluster.eksAuth().resetCounts();
        cluster.api().stop();
        try {
            // When
            List<String> others = List.of(ask(cluster.token("pod-2")).body(), ask(cluster.token("pod-3")).body());

            // Then
            assertThat(others).doesNotHaveDuplicates().doesNotContain(shared);
            assertThat(cluster.eksAuth().calls()).isEqualTo(2);
            assertThat(agent.metric(API_SERVER)).isEqualTo(before + 2);
            assertThat(ask(vouchedFor).body()).isEqualTo(shared);
            agent.awaitLine(line -> line.contains("The API server cannot review tokens"));
        } finally {
            cluster.api().restart();
        }
    }

    @Test
    void anApiServerThatHangsCostsAPodLessThanItsDeadline() throws IOException {
        // Given
        double before = agent.metric(API_SERVER);
        cluster.api().answer(Cluster.REVIEWS, request -> { });
        try {
            // When
            RawHttp.Answer answer = RawHttp.exchange(agent.port(), request(cluster.token("pod-1")));

            // Then
            assertThat(answer.status()).isEqualTo(200);
            assertThat(agent.metric(API_SERVER)).isEqualTo(before + 1);
        } finally {
            cluster.review();
        }
    }

    /** An API server without support for audiences accepts a token for any audience. */
    @Test
    void aReviewThatDoesNotNameTheAudienceIsARefusal() throws IOException {
        cluster.api().answer(Cluster.REVIEWS, 201, "{\"status\":{\"authenticated\":true,\"user\":{\"username\":"
                + "\"system:serviceaccount:default:demo\",\"uid\":\"1\"}}}");
        try {
            RawHttp.Answer answer = ask(cluster.token("pod-1"));

            assertThat(answer.status()).isEqualTo(400);
            assertThat(cluster.eksAuth().calls()).isZero();
        } finally {
            cluster.review();
        }
    }

    @Test
    void anAnswerThatIsNoReviewVouchesForNobody() throws IOException {
        // Given
        double before = agent.metric(API_SERVER);
        cluster.api().answer(Cluster.REVIEWS, 200, "<html>Please sign in</html>");
        try {
            // When
            List<String> bodies = List.of(ask(cluster.token("pod-1")).body(), ask(cluster.token("pod-2")).body());

            // Then
            assertThat(bodies).doesNotHaveDuplicates();
            assertThat(cluster.eksAuth().calls()).isEqualTo(2);
            assertThat(agent.metric(API_SERVER)).isEqualTo(before + 2);
            agent.awaitLine(line -> line.contains("The API server cannot review tokens")
                    && line.contains("is not a JSON object"));
        } finally {
            cluster.review();
        }
    }
}
