package dev.podidentity.agent;

import static dev.podidentity.agent.RawHttp.request;
import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.emulator.EksAuthEmulator;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;

/**
 * A pod that attacks the agent harms itself: while it does, another pod gets its cached credentials and the kubelet its
 * answers, each in time ({@link Bystander}), and afterwards the agent has what it had before.
 */
@Timeout(180)
@EnabledIfSystemProperty(named = "agent.executable", matches = ".+", disabledReason = "only the executable has its memory")
class HostilePodIT {

    private static final String HOSTILE = "127.0.0.2";
    private static final String ALSO_HOSTILE = "127.0.0.3";
    private static final String GOOD = "127.0.0.4";
    private static final String BEGUN = "GET /v1/credentials HTTP/1.1\r\nHost: 169.254.170.23\r\n";
    /** More than the garbage of an attack, and less than the heap's maximum. */
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
            attack(agent, connections -> {
                for (int i = 0; i < 100; i++) {
                    connections.open(HOSTILE, agent.port()).sendUntilRefused(BEGUN + "a:\r\n".repeat(7_900), 1);
                }
            });
            assertThat(agent.metric("pod_identity_limit_rejections_total{limit=\"headers\",}")).isPositive();
            assertThat(agent.lines("A limit turned requests of a source away", HOSTILE, "\"limit\":\"headers\"")).isPositive();
        }
    }

    @Test
    void headersInLittlePiecesOnTheMetricsPortCostNothing() throws IOException {
        try (AgentProcess agent = AgentProcess.start(emulator)) {
            attack(agent, connections -> {
                for (int i = 0; i < 100; i++) {
                    connections.open(i % 2 == 0 ? HOSTILE : ALSO_HOSTILE, agent.port("metrics"))
                            .sendUntilRefused(BEGUN + "a:\r\n".repeat(7_900), 1);
                }
            });
            assertThat(agent.metric("pod_identity_limit_rejections_total{limit=\"source_connections\",}")).isPositive();
        }
    }

    @Test
    void anAnsweredConnectionKeepsNothingOfItsRequest() throws IOException {
        try (AgentProcess agent = AgentProcess.start(emulator)) {
            String good = Emulators.token(emulator, "pod-forged");
            String unsigned = good.substring(0, good.lastIndexOf('.') + 1);
            attack(agent, connections -> {
                for (int i = 0; i < 800; i++) {
                    RawHttp.Answer answer = connections.open(HOSTILE, agent.port())
                            .send(request("GET", "/v1/credentials", "Host: 169.254.170.23",
                                    "Authorization: " + unsigned + "Zm9yZ2Vk" + String.format("%04d", i),
                                    "X-Padding: " + "x".repeat(28 * 1024)))
                            .answer();
                    assertThat(answer.status()).isIn(400, 503);
                }
            });
        }
    }

    @Test
    void answersThatNobodyReadsDoNotBlockTheOthers() throws IOException {
        try (AgentProcess agent = AgentProcess.start(emulator, "--source-requests-per-second", "500")) {
            String token = Emulators.token(emulator, "pod-deaf");
            RawHttp.askAsSdk(agent.port(), token);
            attack(agent, connections -> {
                for (int i = 0; i < 100; i++) {
                    for (String source : List.of(HOSTILE, ALSO_HOSTILE)) {
                        connections.open(source, agent.port()).sendUntilRefused(request(token).repeat(10), 1);
                    }
                }
            });
        }
    }

    @Test
    void unfinishedHeadersOfTwoSourcesDoNotBlockTheOthers() throws IOException {
        try (AgentProcess agent = AgentProcess.start(emulator)) {
            attack(agent, connections -> {
                for (int i = 0; i < 1_000; i++) {
                    for (String source : List.of(HOSTILE, ALSO_HOSTILE)) {
                        connections.open(source, agent.port())
                                .sendUntilRefused(BEGUN + "X-Padding: " + "x".repeat(31 * 1024), 1);
                    }
                }
            });
            assertThat(agent.metric("pod_identity_limit_rejections_total{limit=\"request_bytes\",}")).isPositive();
            assertThat(agent.lines("A limit turned requests of a source away", HOSTILE, "\"limit\":\"request_bytes\"")).isPositive();
        }
    }

    @Test
    void connectionsThatComeFasterThanTheyCanBeTakenInCostNothing() throws IOException {
        try (AgentProcess agent = AgentProcess.start(emulator)) {
            String good = Emulators.token(emulator, "pod-good");
            attack(agent, connections -> {
                for (int i = 0; i < 40_000; i++) {
                    try (RawHttp http = RawHttp.from(HOSTILE, AgentProcess.LOOPBACK, agent.port())) {
                        http.send(RawHttp.request(good)).reset();
                    }
                }
            });
            assertThat(agent.metric("pod_identity_limit_rejections_total{limit=\"source_connections\",}")).isPositive();
        }
    }

    /** Attacks while a bystander asks, lets it ask on for a while, and looks at what the agent holds when all is over. */
    private static void attack(AgentProcess agent, Attack attack) throws IOException {
        try (Bystander bystander = Bystander.of(agent, GOOD, Emulators.token(emulator, "pod-good"))) {
            bystander.asks(10);
            long before = descriptors(agent);
            long memoryBefore = anonymousKib(agent);
            try (Connections connections = new Connections()) {
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

        void run(Connections connections) throws IOException;
    }

    /** What the attacker has open. */
    private static final class Connections implements AutoCloseable {

        private final List<RawHttp> open = new ArrayList<>();

        RawHttp open(String source, int port) throws IOException {
            RawHttp http = RawHttp.from(source, AgentProcess.LOOPBACK, port);
            open.add(http);
            return http;
        }

        @Override
        public void close() throws IOException {
            for (RawHttp http : open) {
                http.close();
            }
        }
    }
}
