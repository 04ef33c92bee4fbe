package dev.podidentity.agent.benchmark;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;

class ResultsTableTest {

    private static final Contender OURS = Contender.ours(Path.of("agent"));
    private static final Contender OTHER = Contender.other("a|b", "other --port {port}");
    private static final Group START = new StartGroup();

    private final Results results = new Results();

    @Test
    void hasARowForEachCaseAndAgentWithMediansAndSpread() {
        results.add("start", "warm", OURS, 0, Map.of(Measure.FIRST, 20.0));
        results.add("start", "warm", OTHER, 0, Map.of(Measure.FIRST, 10.0, Measure.CPU_MILLIS, 9.0));
        results.add("start", "warm", OURS, 1, Map.of(Measure.FIRST, 30.0));

        assertThat(ResultsTable.of(START, results)).isEqualTo("""
                | case | agent | first 200 after ms | CPU ms |
                | --- | --- | ---: | ---: |
                | warm | ours | 25.0 (20.0 to 30.0) |  |
                |  | a\\|b | 10.0 | 9.0 |
                """);
    }

    @Test
    void saysWhatWasNotMeasuredAndWhy() {
        results.skip("start", "other", "it does not serve");
        results.skip("start", "other", "it does not serve");

        assertThat(ResultsTable.of(START, results)).isEqualTo("Not measured for other: it does not serve.\n");
    }
}
