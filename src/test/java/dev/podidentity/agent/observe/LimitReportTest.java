package dev.podidentity.agent.observe;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.testing.FakeTime;
import dev.podidentity.agent.testing.LogLines;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class LimitReportTest {

    private static final Duration QUIET = Duration.ofSeconds(10);

    private final FakeTime time = new FakeTime();
    private final SimpleMeterRegistry registry = new SimpleMeterRegistry();
    private final LimitReport report =
            new LimitReport(new Metrics(registry, new BuildInfo("test"), time.clock()), time.nanos());
    private final LogLines log = new LogLines(LimitReport.class);

    @AfterEach
    void close() {
        log.close();
    }

    @ParameterizedTest
    @EnumSource
    void namesTheSourceAndTheLimitAndWhatToDo(Limit limit) {
        // When
        report.rejected(limit, "10.0.0.7");
        // Then
        assertThat(log.all()).containsExactly("WARN A limit rejected requests from a source address "
                + "[source=10.0.0.7, limit=" + limit.label() + ", count=1, remedy=" + limit.remedy() + "]");
        assertThat(limit.remedy()).isNotBlank();
    }

    @Test
    void namesASourceOnceInTenSecondsAndCountsTheRest() {
        // When
        for (int i = 0; i < 100; i++) {
            report.rejected(Limit.HEADERS, "10.0.0.7");
        }
        time.advance(QUIET.minusNanos(1));
        report.rejected(Limit.HEADERS, "10.0.0.7");
        int before = log.all().size();
        time.advance(Duration.ofNanos(1));
        report.rejected(Limit.HEADERS, "10.0.0.7");
        // Then
        assertThat(before).isEqualTo(1);
        assertThat(log.all()).hasSize(2);
        assertThat(log.all().get(1)).contains("count=101");
        assertThat(counted(Limit.HEADERS)).isEqualTo(102);
    }

    @Test
    void namesEachSourceAndEachLimitByItself() {
        // When
        report.rejected(Limit.HEADERS, "10.0.0.7");
        report.rejected(Limit.HEADERS, "10.0.0.8");
        report.rejected(Limit.HEADER_TIME, "10.0.0.7");
        // Then
        assertThat(log.all()).hasSize(3);
    }

    @Test
    void doesNotFillTheLogForWhoeverHasManyAddresses() {
        // When
        for (int i = 0; i < 10_000; i++) {
            report.rejected(Limit.CONNECTIONS, "fd00::" + Integer.toHexString(i));
        }
        time.advanceMillis(200);
        report.rejected(Limit.CONNECTIONS, "fd00::ffff");
        // Then: a burst of 50 lines, then 5 per second
        assertThat(log.all()).hasSize(51);
        assertThat(counted(Limit.CONNECTIONS)).isEqualTo(10_001);
    }

    private double counted(Limit limit) {
        return registry.get("pod_identity_limit_rejections").tag("limit", limit.label()).counter().count();
    }

    @Test
    void saysWhatEachSourceWasRefusedAndWhenTheLastTimeWas() {
        // When
        report.rejected(Limit.HEADERS, "10.0.0.7");
        report.rejected(Limit.HEADERS, "10.0.0.7");
        time.advance(Duration.ofSeconds(5));
        report.rejected(Limit.SOURCE_REQUESTS, "10.0.0.7");
        report.rejected(Limit.SOURCE_REQUESTS, "10.0.0.8");
        time.advance(Duration.ofSeconds(2));
        report.rejected(Limit.HEADER_TIME, "10.0.0.8");
        time.advance(Duration.ofSeconds(1));
        // Then
        assertThat(report.limitedSources()).containsExactly(
                new LimitReport.LimitedSource("10.0.0.8", Map.of(Limit.SOURCE_REQUESTS, 1L, Limit.HEADER_TIME, 1L),
                        Duration.ofSeconds(1)),
                new LimitReport.LimitedSource("10.0.0.7", Map.of(Limit.HEADERS, 2L, Limit.SOURCE_REQUESTS, 1L),
                        Duration.ofSeconds(3)));
    }

    @Test
    void forgetsTheSourcesThatWereTurnedAwayLongestAgo() {
        // When
        for (int i = 0; i < 10_000; i++) {
            report.rejected(Limit.CONNECTIONS, "10.0." + i / 256 + "." + i % 256);
        }
        // Then
        assertThat(report.limitedSources()).hasSize(128)
                .anyMatch(source -> source.address().equals("10.0.39.15"));
    }
}
