package dev.podidentity.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.podidentity.emulator.EksAuthEmulator;
import dev.podidentity.emulator.Fault;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * A node whose clock is wrong and is then corrected. libfaketime (the Debian package of that name) changes the agent's wall
 * clock but not its monotonic clock; without it these tests are skipped.
 */
@Timeout(120)
class ClockJumpIT {

    @TempDir
    private Path directory;

    private EksAuthEmulator emulator;
    private Path clock;

    @BeforeEach
    void start() throws IOException {
        emulator = Emulators.start();
        clock = directory.resolve("clock");
    }

    @AfterEach
    void stop() {
        emulator.close();
    }

    @Test
    void aClockThatIsSetBackTakesTheFailuresThatItCausedWithIt() throws IOException {
        // Given: EKS Auth rejects signatures two hours in the future, whatever the SDK makes of the date of the response
        set("+2h");
        emulator.inject(new Fault.ErrorAnswer(403, "InvalidSignatureException", "Signature not yet current"));
        try (AgentProcess agent = AgentProcess.start(emulator, faketime())) {
            String token = Emulators.token(emulator, "pod-1");
            RawHttp.Answer before = RawHttp.askAsSdk(agent.port(), token);

            // When
            set("+0");
            emulator.heal();

            // Then: served within the backoff after a failure, both for the pod that had it and for another
            assertThat(before.status()).isEqualTo(503);
            assertThat(before.body()).contains("clock");
            assertThat(askUntilServed(agent, token)).isEqualTo(200);
            assertThat(RawHttp.askAsSdk(agent.port(), Emulators.token(emulator, "pod-2")).status()).isEqualTo(200);
        }
    }

    @Test
    void credentialsAreServedWhileTheClockIsWrongAndAfter() throws IOException {
        // Given
        set("+0");
        try (AgentProcess agent = AgentProcess.start(emulator, faketime())) {
            // Issued long ago, because a new token is not yet valid by a clock that is behind.
            String token = emulator.tokens().mint(emulator.tokens()
                    .request(Emulators.NAMESPACE, Emulators.SERVICE_ACCOUNT, "pod-1")
                    .withIssuedAt(Instant.now().minus(Duration.ofHours(3))));
            RawHttp.Answer first = RawHttp.askAsSdk(agent.port(), token);
            for (String error : new String[] {"-2h", "+2h", "+0"}) {
                // When
                set(error);

                // Then
                RawHttp.Answer answer = RawHttp.askAsSdk(agent.port(), token);
                assertThat(answer.status()).as(error).isEqualTo(200);
                assertThat(answer.body()).isEqualTo(first.body());
            }
        }
    }

    private static int askUntilServed(AgentProcess agent, String token) throws IOException {
        try (RawHttp http = new RawHttp(agent.port())) {
            RawHttp.Answer answer = http.askAsSdk(token);
            Instant giveUp = Instant.now().plusSeconds(20);
            while (answer.status() == 503 && Instant.now().isBefore(giveUp)) {
                answer = http.askAsSdk(token);
            }
            return answer.status();
        }
    }

    /** Sets how far the agent's clock is ahead. */
    private void set(String error) throws IOException {
        Files.writeString(clock, error + '\n');
    }

    private Map<String, String> faketime() throws IOException {
        Map<String, String> environment = faketime(clock);
        assumeTrue(!environment.isEmpty(), "libfaketime is installed");
        return environment;
    }

    /** Returns the environment that sets the agent's wall clock from a file; empty if libfaketime is not installed. */
    static Map<String, String> faketime(Path clock) throws IOException {
        try (Stream<Path> places = Files.find(Path.of("/usr/lib"), 3, (file, attributes) ->
                file.endsWith("faketime/libfaketime.so.1"))) {
            return places.findFirst()
                    .map(library -> Map.of(
                            "LD_PRELOAD", library.toString(),
                            "FAKETIME_TIMESTAMP_FILE", clock.toString(),
                            "FAKETIME_NO_CACHE", "1",
                            "FAKETIME_DONT_FAKE_MONOTONIC", "1",
                            "DONT_FAKE_MONOTONIC", "1"))
                    .orElse(Map.of());
        }
    }
}
