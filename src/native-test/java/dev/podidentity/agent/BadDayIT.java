package dev.podidentity.agent;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;

/** A {@link BadDay} in a minute, with each kind of fault once. */
@Timeout(300)
@EnabledIfSystemProperty(named = "agent.executable", matches = ".+", disabledReason = "the kubelet runs the executable")
class BadDayIT {

    private static final long SEED = 1;

    @Test
    void nothingHappensThatMustNot() throws IOException, InterruptedException {
        assertThat(BadDay.runEach(SEED)).isEmpty();
    }
}
