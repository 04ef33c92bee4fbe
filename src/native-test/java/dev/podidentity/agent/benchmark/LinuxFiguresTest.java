package dev.podidentity.agent.benchmark;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.junit.jupiter.api.Test;

/** The parsers of Linux's text formats, as its manual pages describe them. */
class LinuxFiguresTest {

    @Test
    void namesReleasesWithoutWhatADistributorHasAdded() {
        assertThat(Machine.release("6.1.0-13-amd64")).isEqualTo("6.1.0");
        assertThat(Machine.release("4.1.0-3+b2")).isEqualTo("4.1.0");
        assertThat(Machine.release("of an unknown version")).isEqualTo("of an unknown version");
    }

    @Test
    void readsProcessorTimeWhateverTheProcessIsCalled() {
        assertThat(ProcessFigures.cpuSeconds("7 (a) b) S 1 7 7 0 -1 4194304 900 0 0 0 150 50 0 0 20 0 10 0 100"))
                .isEqualTo(2);
    }

    @Test
    void readsMemoryInMillionsOfBytes() {
        List<String> status = List.of("VmRSS:\t    2000 kB", "RssAnon:\t    1000 kB");

        assertThat(ProcessFigures.megabytes(status, "RssAnon")).isEqualTo(1.024);
    }

    @Test
    void countsTheWorkingSetAsTheKubeletDoes() {
        List<String> first = List.of("cache 900000", "total_cache 1500000", "inactive_file 7", "total_inactive_file 500000");
        List<String> second = List.of("file 1500000", "inactive_file 500000");

        assertThat(ControlGroup.Usage.parse("2000000\n", first, false)).isEqualTo(new ControlGroup.Usage(1.5, 1.5));
        assertThat(ControlGroup.Usage.parse("2000000\n", second, true)).isEqualTo(new ControlGroup.Usage(1.5, 1.5));
        assertThat(ControlGroup.Usage.parse("100\n", second, true).workingSet()).isZero();
        assertThatThrownBy(() -> ControlGroup.Usage.parse("1\n", List.of(), true)).hasMessageContaining("inactive_file");
    }

    @Test
    void findsTheSocketThatListens() {
        List<String> table = List.of(
                "  sl  local_address rem_address   st",
                "   0: 0100007F:1F90 00000000:0000 0A",
                "   1: 0100007F:1F91 0100007F:C350 01");

        assertThat(RunningAgent.listens(table, 8080)).isTrue();
        assertThat(RunningAgent.listens(table, 8081)).isFalse();
        assertThat(RunningAgent.listens(table, 50_000)).isFalse();
    }
}
