package dev.podidentity.agent.credentials;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.config.CoalesceScope;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Tests what is logged when EKS Auth returns credentials for another service account. */
class WrongSubjectLogTest {

    private static final Logger LOGGER = Logger.getLogger(CredentialService.class.getName());

    private final List<LogRecord> errors = new ArrayList<>();
    private final Handler handler = new Handler() {

        @Override
        public void publish(LogRecord line) {
            if (line.getLevel().getName().equals("ERROR")) {
                errors.add(line);
            }
        }

        @Override
        public void flush() {}

        @Override
        public void close() {}
    };
    private final ServiceFixture fixture = new ServiceFixture();

    @BeforeEach
    void listen() {
        LOGGER.setUseParentHandlers(false);
        LOGGER.addHandler(handler);
    }

    @AfterEach
    void ceaseToListen() {
        LOGGER.removeHandler(handler);
        LOGGER.setUseParentHandlers(true);
    }

    @Test
    void saysSoInALine() {
        // Given
        fixture.ask(Pod.of("a").verified(CoalesceScope.ROLE));
        // When
        fixture.eksAuth.calls().get(0).succeedFor("billing", "ledger", fixture.time.now().plus(Duration.ofHours(6)));
        // Then
        assertThat(errors)
                .extracting(LogRecord::getMessage)
                .containsExactly("EKS Auth returned credentials of another service account; they are not used");
    }

    @Test
    void saysSoNoOftenerThanOtherTrouble() {
        // Given
        fixture.eksAuth.script(call -> call.succeedFor("billing", "ledger", fixture.time.now().plusSeconds(3600)));
        // When
        for (int i = 0; i < 1000; i++) {
            fixture.ask(Pod.of("pod-" + i).verified(CoalesceScope.POD), "10.0.1." + i);
        }
        // Then
        assertThat(fixture.calls()).isGreaterThanOrEqualTo(1000);
        // The log allows a burst of 100 lines and five per second, for as long as the test runs.
        assertThat(errors).hasSizeBetween(100, 900);
    }
}
