package dev.podidentity.agent.verification;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.token.Verification;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/** Records a verdict. */
public final class RecordingVerdict implements Consumer<Verification> {

    private final List<Verification> verdicts = new ArrayList<>();

    @Override
    public void accept(Verification verdict) {
        verdicts.add(verdict);
    }

    public boolean waits() {
        return verdicts.isEmpty();
    }

    public Verification verdict() {
        assertThat(verdicts).as("verdicts").hasSize(1);
        return verdicts.get(0);
    }
}
