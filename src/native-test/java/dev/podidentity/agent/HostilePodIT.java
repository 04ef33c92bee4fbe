package dev.podidentity.agent;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.emulator.EksAuthEmulator;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;

/**
 * A pod that attacks the agent only harms itself: during the attack, another pod gets its cached credentials and the kubelet
 * its probe responses in time ({@link Bystander}), and afterwards the agent holds no more than before.
 */
@Timeout(180)
@EnabledIfSystemProperty(named = "agent.executable", matches = ".+", disabledReason = "only the executable has its memory")
class HostilePodIT {

    private static final String HOSTILE = "127.0.0.2";
    private static final String ALSO_HOSTILE = "127.0.0.3";
    private static final String GOOD = "127.0.0.4";
    /** More than the garbage of an attack, and less than the maximum heap. */
    private static final long SOME_KIB = 24 * 1024;
    /** Descriptors that come and go without an attack: a scrape, calls to EKS Auth. */
    private static final int SOME_DESCRIPTORS = 16;

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
    void headersInLittlePiecesCostNothing() throws IOException {
        try (AgentProcess agent = AgentProcess.start(emulator)) {
            attack(agent, connections -> connections.sendHeadersInLittlePieces(agent.port(), 100, HOSTILE));
            assertThat(agent.metric("pod_identity_limit_rejections_total{limit=\"headers\",}")).isPositive();
            assertThat(agent.lines("A limit rejected requests from a source address", HOSTILE, "\"limit\":\"headers\"")).isPositive();
        }
    }

    @Test
    void headersInLittlePiecesOnTheMetricsPortCostNothing() throws IOException {
        try (AgentProcess agent = AgentProcess.start(emulator)) {
            attack(agent, connections ->
                    connections.sendHeadersInLittlePieces(agent.port("metrics"), 100, HOSTILE, ALSO_HOSTILE));
            assertThat(agent.metric("pod_identity_limit_rejections_total{limit=\"source_connections\",}")).isPositive();
        }
    }

    @Test
    void anAnsweredConnectionKeepsNothingOfItsRequest() throws IOException {
        try (AgentProcess agent = AgentProcess.start(emulator)) {
            String good = Emulators.token(emulator, "pod-forged");
            attack(agent, connections ->
                    assertThat(connections.sendForgedTokens(agent.port(), 800, good, HOSTILE)).isSubsetOf(400, 503));
        }
    }

    @Test
    void answersThatNobodyReadsDoNotBlockTheOthers() throws IOException {
        try (AgentProcess agent = AgentProcess.start(emulator, "--source-requests-per-second", "500")) {
            String token = Emulators.token(emulator, "pod-deaf");
            RawHttp.askAsSdk(agent.port(), token);
            attack(agent, connections -> connections.readNoAnswers(agent.port(), 100, token, HOSTILE, ALSO_HOSTILE));
        }
    }

    @Test
    void unfinishedHeadersOfTwoSourcesDoNotBlockTheOthers() throws IOException {
        try (AgentProcess agent = AgentProcess.start(emulator)) {
            attack(agent, connections -> connections.finishNoHeads(agent.port(), 1_000, HOSTILE, ALSO_HOSTILE));
            assertThat(agent.metric("pod_identity_limit_rejections_total{limit=\"request_bytes\",}")).isPositive();
            assertThat(agent.lines("A limit rejected requests from a source address", HOSTILE, "\"limit\":\"request_bytes\"")).isPositive();
        }
    }

    @Test
    void connectionsThatAreResetAtOnceCostNothing() throws IOException {
        try (AgentProcess agent = AgentProcess.start(emulator)) {
            String good = Emulators.token(emulator, "pod-good");
            attack(agent, connections -> connections.resetAtOnce(agent.port(), 40_000, good, HOSTILE));
        }
    }

    /** Attacks while a bystander sends requests, lets it continue for a while, and then checks what the agent holds. */
    private static void attack(AgentProcess agent, Attack attack) throws IOException {
        try (Bystander bystander = Bystander.of(agent, GOOD, Emulators.token(emulator, "pod-good"))) {
            bystander.asks(10);
            long before = descriptors(agent);
            long memoryBefore = anonymousKib(agent);
            try (HostileConnections connections = new HostileConnections()) {
                attack.run(connections);
                bystander.asks(40);
            }
            while (descriptors(agent) > before + SOME_DESCRIPTORS) {
                bystander.asks(5);
            }
            bystander.asks(20);
            assertThat(anonymousKib(agent)).as("KiB of memory").isLessThan(memoryBefore + SOME_KIB);
        }
    }

    private static long anonymousKib(AgentProcess agent) throws IOException {
        return Files.readAllLines(Path.of("/proc/" + agent.pid() + "/status")).stream()
                .filter(line -> line.startsWith("RssAnon:"))
                .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")))
                .findFirst()
                .orElseThrow();
    }

    private static long descriptors(AgentProcess agent) throws IOException {
        try (Stream<Path> open = Files.list(Path.of("/proc/" + agent.pid() + "/fd"))) {
            return open.count();
        }
    }

    @FunctionalInterface
    private interface Attack {

        void run(HostileConnections connections) throws IOException;
    }
}
