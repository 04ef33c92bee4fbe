package dev.podidentity.agent.benchmark;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;

class WrkResultTest {

    private static final String LINE =
            "benchmark: requests=5000 micros=2500000 p50=1250 p99=9000 connect=1 read=2 write=3 timeout=4 status=7\n";

    @Test
    void readsTheLineOfTheScript() {
        WrkResult result = WrkResult.parse("Running 2s test\n" + LINE);

        assertThat(result).isEqualTo(new WrkResult(5000, 2.5, 1.25, 9, 10, 7));
        assertThat(result.requestsPerSecond()).isEqualTo(2000);
    }

    @Test
    void saysWhatIsMissing() {
        assertThatThrownBy(() -> WrkResult.parse("unable to connect")).hasMessageContaining("unable to connect");
        assertThatThrownBy(() -> WrkResult.parse(LINE.replace("p99=9000 ", ""))).hasMessageContaining("p99");
    }
}
