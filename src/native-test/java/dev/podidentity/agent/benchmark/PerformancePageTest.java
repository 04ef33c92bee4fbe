package dev.podidentity.agent.benchmark;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Properties;
import org.junit.jupiter.api.Test;

class PerformancePageTest {

    private static final String HITS = "<!-- benchmark hits: mvn -Pbenchmark -Dbenchmark.docs=true writes what follows -->\n";
    private static final String START = HITS.replace("hits", "start");
    private static final String END_OF_HITS = "<!-- end of benchmark hits -->\n";
    private static final String END_OF_START = "<!-- end of benchmark start -->\n";

    @Test
    void changesOnlyWhatStandsBetweenTheLinesOfAGroup() {
        PerformancePage page = new PerformancePage("# Page\n" + HITS + "old\n" + END_OF_HITS + "By hand\n" + START + END_OF_START);

        assertThat(page.with("hits", "new $1\n").with("start", "fast\n").text())
                .isEqualTo("# Page\n" + HITS + "new $1\n" + END_OF_HITS + "By hand\n" + START + "fast\n" + END_OF_START);
    }

    @Test
    void refusesAPageThatLacksALine() {
        for (String text : new String[] {"", HITS, END_OF_HITS + HITS, HITS + START + END_OF_START + END_OF_HITS,
                HITS + END_OF_HITS + HITS + END_OF_HITS}) {
            assertThatThrownBy(() -> new PerformancePage(text).with("hits", "new\n"))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("<!-- benchmark hits");
        }
    }

    @Test
    void theDocsHaveThePlaceForEveryGroupAndShowEveryPlot() throws IOException {
        String docs = Files.readString(Path.of("docs", "performance.md"));
        PerformancePage page = new PerformancePage(docs);
        for (Group group : Benchmark.GROUPS) {
            page = page.with(group.name(), "");
        }
        for (Group group : Benchmark.GROUPS) {
            for (Plot plot : group.plots(new Results())) {
                Path file = Path.of("docs", "performance", plot.file() + ".svg");
                assertThat(docs).contains("![" + plot.title() + "](performance/" + plot.file() + ".svg)");
                assertThat(file).exists();
            }
        }
    }

    @Test
    void saysOnWhatTheFiguresWereTakenAboveThePlotsAndTheTable() {
        Results results = new Results();
        Contender ours = Contender.ours(Path.of("agent"));
        results.add("start", "exec to the first 200", ours, 0, Map.of(Measure.FIRST, 20.0));
        Machine machine = new Machine("Some CPU", 2, 7.6, "Linux 6", "4.1.0", "2026-01-31", 0.25);
        Properties properties = new Properties();
        properties.setProperty("benchmark.runs", "4");
        properties.setProperty("benchmark.seconds", "6");

        assertThat(GroupText.of(new StartGroup(), results, machine, Settings.of(properties), "performance/")).isEqualTo("""
                Measured on 2026-01-31: Some CPU, 2 processors shared by the agent, the clients and EKS Auth, 8 GiB of memory, Linux 6, \
                wrk 4.1.0. Medians of 40 runs, with minimum and maximum. Each load from wrk lasts 6 s. \
                The load average beforehand was 0.3.

                ![From exec to the first credentials](performance/start.svg)

                | case | agent | first 200 after ms | CPU ms |
                | --- | --- | ---: | ---: |
                | exec to the first 200 | ours | 20.0 |  |
                """);
    }
}
