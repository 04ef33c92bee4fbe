package dev.podidentity.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import dev.podidentity.emulator.TokenMint;
import dev.podidentity.emulator.TokenRequest.Algorithm;
import io.vertx.core.json.JsonObject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** The API server, which publishes the signing keys, is unreachable; the keys are in a file, or not. */
class KeysOutageIT {

    private static final String NO_KEYS = "pod_identity_token_verifications_total{verdict=\"no_keys\",}";
    private static final String VERIFIED = "pod_identity_token_verifications_total{verdict=\"verified\",}";

    @TempDir
    private Path directory;

    @TempDir
    private Path state;

    private Cluster cluster;

    @BeforeEach
    void start() throws IOException, InterruptedException {
        cluster = Cluster.start(directory);
    }

    @AfterEach
    void stop() {
        cluster.close();
    }

    private Path keysFile() {
        return state.resolve("keys.json");
    }

    private AgentProcess agentWithFile() {
        return cluster.agent("--token-verification", "jwks", "--keys-file", keysFile().toString());
    }

    /** Returns the responses to pods of one service account, requested one after another. */
    private static List<String> ask(AgentProcess agent, List<String> tokens) throws IOException {
        List<String> bodies = new ArrayList<>();
        for (String token : tokens) {
            RawHttp.Answer answer = RawHttp.askAsSdk(agent.port(), token);
            assertThat(answer.status()).isEqualTo(200);
            bodies.add(answer.body());
        }
        return bodies;
    }

    private void assertShared(AgentProcess agent) throws IOException {
        cluster.eksAuth().resetCounts();
        assertThat(ask(agent, cluster.tokens(3)).stream().distinct()).hasSize(1);
        assertThat(cluster.eksAuth().calls()).isLessThanOrEqualTo(1);
    }

    private void assertEachForItself(AgentProcess agent) throws IOException {
        cluster.eksAuth().resetCounts();
        assertThat(ask(agent, cluster.tokens(3))).doesNotHaveDuplicates();
        assertThat(cluster.eksAuth().calls()).isEqualTo(3);
    }

    private static void assertRefused(AgentProcess agent, String genuine) throws IOException {
        String forged = ForgedTokens.withClaims(genuine, Cluster.claims(genuine).put("jti", "forged"));
        assertThat(RawHttp.exchange(agent.port(), RawHttp.request(forged)).status()).isEqualTo(400);
    }

    @Test
    void servesByTheExactTokenUntilTheKeysComeAndSharesFromThenOn() throws IOException {
        cluster.api().stop();
        try (AgentProcess agent = cluster.agent("--token-verification", "jwks")) {
            // Given
            assertThat(agent.awaitLine(line -> line.contains("signing keys cannot be fetched")))
                    .contains("cannot be reached: check --api-server");
            assertThat(agent.metric(NO_KEYS)).isZero();
            assertEachForItself(agent);
            assertThat(agent.metric(NO_KEYS)).isEqualTo(3);

            // When
            cluster.api().restart();
            Cluster.awaitKeys(agent, cluster.eksAuth());

            // Then
            double before = agent.metric(VERIFIED);
            assertShared(agent);
            assertThat(agent.metric(VERIFIED)).isEqualTo(before + 3);
            assertRefused(agent, cluster.token("victim"));
        }
    }

    @Test
    void servesWhatATokenHasThoughItIsVerifiedOnlyNowAndEksAuthIsDown() throws IOException {
        // Given
        cluster.api().stop();
        try (AgentProcess agent = cluster.agent("--token-verification", "jwks")) {
            String token = cluster.token("pod-1");
            RawHttp.Answer first = RawHttp.askAsSdk(agent.port(), token);
            assertThat(first.status()).isEqualTo(200);

            // When
            cluster.eksAuth().refuseConnections();
            cluster.api().restart();
            Cluster.awaitKeys(agent, cluster.eksAuth());

            // Then
            assertThat(RawHttp.askAsSdk(agent.port(), token).body()).isEqualTo(first.body());
        }
    }

    @Test
    void goesOnVerifyingWhenTheApiServerGoesAway() throws IOException {
        try (AgentProcess agent = cluster.verifyingAgent()) {
            // When
            cluster.api().stop();

            // Then
            assertShared(agent);
            assertRefused(agent, cluster.token("victim"));
        }
    }

    @Test
    void verifiesWithTheFileWhenItIsStartedWhileTheApiServerIsAway() throws IOException {
        // Given
        try (AgentProcess first = agentWithFile()) {
            Cluster.awaitKeys(first, cluster.eksAuth());
            awaitFile();
        }
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(keysFile()))).isEqualTo("rw-------");
        cluster.api().stop();

        // When
        try (AgentProcess second = agentWithFile()) {
            Cluster.awaitKeys(second, cluster.eksAuth());

            // Then
            assertShared(second);
            assertRefused(second, cluster.token("victim"));
        }
    }

    /** Waits for the file, which is written atomically just after the keys come into use. */
    private void awaitFile() {
        Instant end = Instant.now().plusSeconds(30);
        while (Files.notExists(keysFile())) {
            assertThat(Instant.now()).isBefore(end);
            Thread.onSpinWait();
        }
    }

    @Test
    void leavesNothingButTheFileInItsDirectory() throws IOException {
        try (AgentProcess agent = agentWithFile()) {
            Cluster.awaitKeys(agent, cluster.eksAuth());
            awaitFile();
        }
        try (Stream<Path> files = Files.list(state)) {
            assertThat(files).containsExactly(keysFile());
        }
    }

    static Stream<Arguments> unusable() {
        UnaryOperator<JsonObject> unchanged = content -> content;
        return Stream.of(
                arguments("Others than its owner can write it", "rw--w----", unchanged),
                arguments("Others than its owner can write it", "rw-----w-", unchanged),
                arguments("Its keys are too old", "rw-------", fetched(Duration.ofHours(-25))),
                arguments("It is malformed", "rw-------", (UnaryOperator<JsonObject>) content -> new JsonObject()),
                arguments("None of the 0 published keys can verify a token", "rw-------",
                        (UnaryOperator<JsonObject>) content -> content.put("jwks", "{\"keys\":[]}")));
    }

    private static UnaryOperator<JsonObject> fetched(Duration fromNow) {
        return content -> content.put("fetchedAt", Instant.now().plus(fromNow).toString());
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("unusable")
    void doesNotUseAFileThatCannotBeTrusted(String reason, String permissions, UnaryOperator<JsonObject> change)
            throws IOException {
        // Given
        Files.writeString(keysFile(), change.apply(content()).encode());
        Files.setPosixFilePermissions(keysFile(), PosixFilePermissions.fromString(permissions));

        // Then
        assertNotUsed(reason);
    }

    @Test
    void doesNotFollowALinkInPlaceOfTheFile() throws IOException {
        // Given
        Path elsewhere = Files.writeString(state.resolve("elsewhere.json"), content().encode());
        Files.createSymbolicLink(keysFile(), elsewhere);

        // Then
        assertNotUsed("It is not a regular file");
    }

    private void assertNotUsed(String reason) throws IOException {
        cluster.api().stop();
        try (AgentProcess agent = agentWithFile()) {
            assertThat(agent.awaitLine(line -> line.contains("The keys file is not used")))
                    .contains("\"level\":\"warning\"", "\"reason\":\"" + reason, keysFile().toString());
            assertEachForItself(agent);
        }
    }

    /** A clock was wrong when the keys were fetched, or is wrong now. */
    @Test
    void usesAFileFromTheFutureAndDatesItAnew() throws IOException {
        // Given
        Files.writeString(keysFile(), fetched(Duration.ofHours(25)).apply(content()).encode());
        cluster.api().stop();

        // When
        try (AgentProcess agent = agentWithFile()) {
            Cluster.awaitKeys(agent, cluster.eksAuth());

            // Then
            assertShared(agent);
            Instant end = Instant.now().plusSeconds(30);
            while (Instant.parse(new JsonObject(Files.readString(keysFile())).getString("fetchedAt")).isAfter(end)) {
                assertThat(Instant.now()).isBefore(end);
                Thread.onSpinWait();
            }
        }
    }

    /** A starting API server refuses everyone until it has read the cluster's roles. */
    @Test
    void verifiesSoonAfterAnApiServerThatHasJustStartedHasSaidForbidden() throws IOException {
        // Given
        cluster.api().answer(Cluster.KEYS, 403, "{}");
        try (AgentProcess agent = cluster.agent("--token-verification", "jwks")) {
            agent.awaitLine(line -> line.contains("signing keys cannot be fetched"));
            assertEachForItself(agent);

            // When
            cluster.publish(Algorithm.values());
            Cluster.awaitKeys(agent, cluster.eksAuth());

            // Then
            assertShared(agent);
        }
    }

    /** Ensures that the tests above fail for their intended reason, and not because of the file that they write. */
    @Test
    void usesAFileThatCanBeTrusted() throws IOException {
        // Given
        Files.writeString(keysFile(), content().encode());
        cluster.api().stop();

        // When
        try (AgentProcess agent = agentWithFile()) {
            Cluster.awaitKeys(agent, cluster.eksAuth());

            // Then
            assertShared(agent);
        }
    }

    private JsonObject content() {
        return new JsonObject()
                .put("issuer", TokenMint.ISSUER)
                .put("jwks", cluster.eksAuth().tokens().jwks(Algorithm.RS256))
                .put("fetchedAt", Instant.now().toString());
    }
}
