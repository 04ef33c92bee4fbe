package dev.podidentity.agent.observe;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.MockClock;
import io.micrometer.core.instrument.Tag;
import io.micrometer.core.instrument.Tags;
import io.micrometer.core.instrument.Timer;
import io.micrometer.core.instrument.simple.SimpleConfig;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.PooledByteBufAllocator;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

class MetricsTest {

    private static final Instant NOW = Instant.parse("2026-03-01T12:00:00Z");
    private static final long MILLISECOND = 1_000_000;

    private final SimpleMeterRegistry registry = new SimpleMeterRegistry();
    private final Metrics metrics =
            new Metrics(registry, new BuildInfo("1.2.3"), Clock.fixed(NOW, ZoneOffset.UTC));

    static Stream<Arguments> zeros() {
        return Stream.of(
                Stream.of(CacheOutcome.values())
                        .map(value -> arguments("pod_identity_request_duration", "cache", value.label())),
                Stream.of(EvictionCause.values())
                        .map(value -> arguments("pod_identity_cache_evictions", "cause", value.label())),
                Stream.of(RenewalResult.values())
                        .map(value -> arguments("pod_identity_renewals", "result", value.label())),
                Stream.of(EventResult.values())
                        .map(value -> arguments("pod_identity_events", "result", value.label())),
                Stream.of(Limit.values())
                        .map(value -> arguments("pod_identity_limit_rejections", "limit", value.label())),
                Stream.of(WatchEnd.values())
                        .map(value -> arguments("pod_identity_pod_watch_ends", "cause", value.label())),
                Stream.of(VerificationVerdict.values())
                        .map(value -> arguments("pod_identity_token_verifications", "verdict", value.label())),
                Stream.of(KeyFetchResult.values())
                        .map(value -> arguments("pod_identity_key_fetches", "result", value.label())),
                Stream.of(UpstreamFailure.values())
                        .map(value -> arguments("pod_identity_upstream_failures", "reason", value.label())),
                Stream.of("hit", "miss", "evicted")
                        .map(value -> arguments("pod_identity_cache_state", "state", value)))
                .flatMap(rows -> rows);
    }

    @ParameterizedTest
    @MethodSource("zeros")
    void showsWhatHasNeverHappenedAsZero(String name, String label, String value) {
        Meter meter = registry.get(name).tags(label, value).meter();

        assertThat(meter.measure()).allSatisfy(measured -> assertThat(measured.getValue()).isZero());
        assertThat(meter.getId().getTags()).containsExactly(Tag.of(label, value));
    }

    @Test
    void startsAllGaugesAtZero() {
        assertThat(gauge("pod_identity_upstream_in_flight")).isZero();
        assertThat(gauge("pod_identity_upstream_queued")).isZero();
        assertThat(gauge("pod_identity_upstream_outage")).isZero();
        assertThat(gauge("pod_identity_waiting_requests")).isZero();
        assertThat(gauge("pod_identity_connections")).isZero();
        assertThat(gauge("pod_identity_cache_entries")).isZero();
        assertThat(gauge("pod_identity_cache_size")).isZero();
        assertThat(gauge("pod_identity_startup_taint_pending")).isZero();
        assertThat(gauge("pod_identity_earliest_expiry")).isNaN();
        assertThat(gauge("pod_identity_renewals_overdue")).isZero();
        assertThat(gauge("pod_identity_renewal_lag")).isZero();
        assertThat(gauge("pod_identity_pods")).isZero();
        assertThat(gauge("pod_identity_pods_synced")).isZero();
        assertThat(gauge("pod_identity_keys_age")).isNaN();
    }

    @Test
    void saysWhatRuns() {
        Meter build = registry.get("pod_identity_build_info").meter();

        assertThat(build.getId().getTags())
                .containsExactlyInAnyOrder(Tag.of("version", "1.2.3"), Tag.of("java", System.getProperty("java.version")));
        assertThat(gauge("pod_identity_build_info")).isEqualTo(1);
    }

    @Test
    void countsAnAnswerByStatusAndOutcome() {
        metrics.answered(400, RequestOutcome.BAD_TOKEN, CacheOutcome.NONE, 5 * MILLISECOND);

        assertThat(counter("pod_identity_requests", "code", "400", "outcome", "bad_token")).isEqualTo(1);
        assertThat(counter("pod_identity_http_response", "code", "400")).isEqualTo(1);
        Timer timer = registry.get("pod_identity_request_duration").tags("cache", "none").timer();
        assertThat(timer.count()).isEqualTo(1);
        assertThat(timer.totalTime(TimeUnit.MILLISECONDS)).isEqualTo(5);
    }

    @ParameterizedTest
    @CsvSource({"HIT, 1, 0", "MISS, 0, 1", "COALESCED, 0, 0", "STALE, 0, 0", "REMEMBERED, 0, 0", "NONE, 0, 0"})
    void countsHitsAndMissesUnderTheReferencesName(CacheOutcome outcome, int hits, int misses) {
        metrics.answered(200, RequestOutcome.SERVED, outcome, 1);

        assertThat(counter("pod_identity_cache_state", "state", "hit")).isEqualTo(hits);
        assertThat(counter("pod_identity_cache_state", "state", "miss")).isEqualTo(misses);
    }

    @Test
    void timesCallsToEksAuth() {
        metrics.called(UpstreamOutcome.FAILED, "ThrottlingException", 20 * MILLISECOND);

        Timer timer = registry.get("pod_identity_upstream_duration")
                .tags("outcome", "failed", "code", "ThrottlingException")
                .timer();
        assertThat(timer.totalTime(TimeUnit.MILLISECONDS)).isEqualTo(20);
    }

    @ParameterizedTest
    @EnumSource
    void countsAFailedCallByWhatWasInTheWay(UpstreamFailure failure) {
        metrics.upstreamFailed(failure);

        assertThat(counter("pod_identity_upstream_failures", "reason", failure.label())).isEqualTo(1);
    }

    @Test
    void countsAnswersForAnotherFromZero() {
        double before = registry.get("pod_identity_upstream_wrong_subjects").counter().count();

        metrics.wrongSubject();

        assertThat(before).isZero();
        assertThat(counter("pod_identity_upstream_wrong_subjects")).isEqualTo(1);
    }

    @Test
    void followsWhatIsUnderWay() {
        metrics.calling(2);
        metrics.calling(-1);
        metrics.fetchesQueued(9);
        metrics.fetchesQueued(7);
        metrics.outage(true);
        metrics.waiting(3);
        metrics.connected(4);
        metrics.cached(5, 6000);

        assertThat(gauge("pod_identity_upstream_in_flight")).isEqualTo(1);
        assertThat(gauge("pod_identity_upstream_queued")).isEqualTo(7);
        assertThat(gauge("pod_identity_upstream_outage")).isEqualTo(1);
        assertThat(gauge("pod_identity_waiting_requests")).isEqualTo(3);
        assertThat(gauge("pod_identity_connections")).isEqualTo(4);
        assertThat(gauge("pod_identity_cache_entries")).isEqualTo(5);
        assertThat(gauge("pod_identity_cache_size")).isEqualTo(6000);
    }

    @ParameterizedTest
    @EnumSource
    void countsAnEvictionByCauseAndUnderTheReferencesName(EvictionCause cause) {
        metrics.evicted(cause);

        assertThat(counter("pod_identity_cache_evictions", "cause", cause.label())).isEqualTo(1);
        assertThat(counter("pod_identity_cache_state", "state", "evicted")).isEqualTo(1);
    }

    @Test
    void countsRenewalsAndTheirErrorsUnderTheReferencesName() {
        metrics.renewed(RenewalResult.SUCCESS, "");
        metrics.renewed(RenewalResult.FAILED, "ThrottlingException");
        metrics.renewed(RenewalResult.REFUSED, "AccessDeniedException");

        for (RenewalResult result : RenewalResult.values()) {
            assertThat(counter("pod_identity_renewals", "result", result.label())).isEqualTo(1);
        }
        assertThat(counter("pod_identity_cache_errors", "type", "Recoverable", "code", "ThrottlingException")).isEqualTo(1);
        assertThat(counter("pod_identity_cache_errors", "type", "NonRecoverable", "code", "AccessDeniedException"))
                .isEqualTo(1);
        assertThat(registry.find("pod_identity_cache_errors").counters()).hasSize(2);
    }

    @ParameterizedTest
    @EnumSource
    void countsWhatALimitTurnsAway(Limit limit) {
        metrics.limited(limit);
        metrics.limited(limit);

        assertThat(counter("pod_identity_limit_rejections", "limit", limit.label())).isEqualTo(2);
    }

    @ParameterizedTest
    @EnumSource
    void countsEventsByResult(EventResult result) {
        metrics.event(result);

        assertThat(counter("pod_identity_events", "result", result.label())).isEqualTo(1);
    }

    @Test
    void showsWhetherTheStartupTaintIsStillThere() {
        metrics.startupTaint(true);
        assertThat(gauge("pod_identity_startup_taint_pending")).isEqualTo(1);

        metrics.startupTaint(false);
        assertThat(gauge("pod_identity_startup_taint_pending")).isZero();
    }

    @Test
    void showsHowManyPodsLiveAndWhetherThatIsKnown() {
        metrics.podsWatched(250, true);
        assertThat(gauge("pod_identity_pods")).isEqualTo(250);
        assertThat(gauge("pod_identity_pods_synced")).isEqualTo(1);

        metrics.podsWatched(250, false);
        assertThat(gauge("pod_identity_pods_synced")).isZero();
    }

    @ParameterizedTest
    @EnumSource
    void countsAVerdictOnAToken(VerificationVerdict verdict) {
        metrics.verified(verdict);

        assertThat(counter("pod_identity_token_verifications", "verdict", verdict.label())).isEqualTo(1);
    }

    @ParameterizedTest
    @EnumSource
    void countsTheEndsOfWatchesByCause(WatchEnd cause) {
        metrics.podWatchEnded(cause);

        assertThat(counter("pod_identity_pod_watch_ends", "cause", cause.label())).isEqualTo(1);
    }

    @ParameterizedTest
    @EnumSource
    void countsAFetchOfKeys(KeyFetchResult result) {
        metrics.keysFetched(result);

        assertThat(counter("pod_identity_key_fetches", "result", result.label())).isEqualTo(1);
    }

    @Test
    void showsTheAgeOfTheKeys() {
        metrics.keysFetchedAt(Optional.of(NOW.minusSeconds(300)));
        assertThat(gauge("pod_identity_keys_age")).isEqualTo(300);

        metrics.keysFetchedAt(Optional.empty());
        assertThat(gauge("pod_identity_keys_age")).isNaN();
    }

    @Test
    void showsTheTimeToTheEarliestExpiry() {
        metrics.earliestExpiry(Optional.of(NOW.plusMillis(90_500)));
        assertThat(gauge("pod_identity_earliest_expiry")).isEqualTo(90.5);

        metrics.earliestExpiry(Optional.empty());
        assertThat(gauge("pod_identity_earliest_expiry")).isNaN();
    }

    @Test
    void showsHowLateRenewalsAre() {
        metrics.renewalsOverdue(7, Duration.ofMillis(90_500));

        assertThat(gauge("pod_identity_renewals_overdue")).isEqualTo(7);
        assertThat(gauge("pod_identity_renewal_lag")).isEqualTo(90.5);
    }

    @Test
    void showsTheTimeToTheExpiryOfTheAgentsOwnCredentials() {
        // Given
        List<Instant> expiry = new ArrayList<>();
        metrics.agentCredentialsExpiry(() -> expiry.stream().findFirst());
        assertThat(gauge("pod_identity_agent_credentials_expiry")).isNaN();

        // When
        expiry.add(NOW.plusSeconds(3600));

        // Then
        assertThat(gauge("pod_identity_agent_credentials_expiry")).isEqualTo(3600);
    }

    @Test
    void watchesEachListener() {
        // Given
        boolean[] up = {false};
        metrics.listeners(List.of(
                new ListenerState("credentials", "169.254.170.23:80", () -> true, () -> true, () -> true),
                new ListenerState("probes", "localhost:2703", () -> up[0], () -> false, () -> true)));
        assertThat(listener("credentials", "169.254.170.23:80")).isEqualTo(1);
        assertThat(listener("probes", "localhost:2703")).isZero();

        // When
        up[0] = true;

        // Then
        assertThat(listener("probes", "localhost:2703")).isEqualTo(1);
    }

    @Test
    void showsWhereAnotherProcessListensToo() {
        // When
        metrics.listeners(List.of(
                new ListenerState("credentials", "169.254.170.23:80", () -> true, () -> true, () -> true),
                new ListenerState("probes", "localhost:2703", () -> true, () -> false, () -> true)));

        // Then
        assertThat(listener("pod_identity_listener_shared", "credentials", "169.254.170.23:80")).isEqualTo(1);
        assertThat(listener("pod_identity_listener_shared", "probes", "localhost:2703")).isZero();
    }

    @Test
    void showsWhichAddressesThisNodeHas() {
        // When
        metrics.listeners(List.of(
                new ListenerState("credentials", "169.254.170.23:80", () -> true, () -> false, () -> true),
                new ListenerState("credentials", "[fd00:ec2::23]:80", () -> false, () -> false, () -> false)));

        // Then
        assertThat(listener("pod_identity_listener_required", "credentials", "169.254.170.23:80")).isEqualTo(1);
        assertThat(listener("pod_identity_listener_required", "credentials", "[fd00:ec2::23]:80")).isZero();
    }

    @Test
    void watchesTheListenersThatWereGivenLast() {
        metrics.listeners(List.of(new ListenerState("probes", "localhost:2703", () -> true, () -> false, () -> true)));
        metrics.listeners(List.of(new ListenerState("metrics", "0.0.0.0:2705", () -> true, () -> false, () -> true)));

        assertThat(registry.find("pod_identity_listener_up").gauges()).hasSize(1);
        assertThat(listener("metrics", "0.0.0.0:2705")).isEqualTo(1);
    }

    @Test
    void watchesTheAgentsOwnCredentials() {
        // Given
        boolean[] available = {false};
        metrics.agentCredentials(() -> available[0]);
        assertThat(gauge("pod_identity_agent_credentials")).isZero();

        // When
        available[0] = true;

        // Then
        assertThat(gauge("pod_identity_agent_credentials")).isEqualTo(1);
    }

    @Test
    void timesHowLateTheEventLoopIs() {
        metrics.loopLagged(3 * MILLISECOND);
        metrics.loopLagged(1_200 * MILLISECOND);

        Timer timer = registry.get("pod_identity_event_loop_lag").timer();
        assertThat(timer.count()).isEqualTo(2);
        assertThat(timer.max(TimeUnit.MILLISECONDS)).isEqualTo(1_200);
    }

    @Test
    void keepsTheMaximumLagOfTheEventLoopForAMinute() {
        // Given
        MockClock clock = new MockClock();
        SimpleMeterRegistry aging = new SimpleMeterRegistry(SimpleConfig.DEFAULT, clock);
        new Metrics(aging, new BuildInfo("1.2.3"), Clock.fixed(NOW, ZoneOffset.UTC)).loopLagged(1_200 * MILLISECOND);
        Timer timer = aging.get("pod_identity_event_loop_lag").timer();

        // Then
        clock.add(Duration.ofSeconds(59));
        assertThat(timer.max(TimeUnit.MILLISECONDS)).isEqualTo(1_200);
        clock.add(Duration.ofSeconds(1));
        assertThat(timer.max(TimeUnit.MILLISECONDS)).isZero();
    }

    @Test
    void showsTheHeapAgainstItsMaximum() {
        assertThat(gauge("pod_identity_heap_max")).isEqualTo(Runtime.getRuntime().maxMemory());
        assertThat(gauge("pod_identity_heap_used")).isPositive().isLessThanOrEqualTo(gauge("pod_identity_heap_max"));
    }

    @Test
    void showsTheMemoryOfConnectionsAgainstItsMaximum() {
        // Given
        double before = gauge("pod_identity_direct_memory_used");
        int more = 4 * 1024 * 1024;

        // When
        ByteBuf held = PooledByteBufAllocator.DEFAULT.directBuffer(more);

        // Then
        assertThat(gauge("pod_identity_direct_memory_used")).isGreaterThanOrEqualTo(before + more);
        assertThat(gauge("pod_identity_direct_memory_max")).isGreaterThan(more);
        held.release();
    }

    @Test
    void countsDroppedLogLines() {
        // Given
        FunctionCounter counter = registry.get("pod_identity_log_lines_dropped").functionCounter();
        assertThat(counter.count()).isZero();

        // When
        metrics.logLinesDropped(() -> 12);

        // Then
        assertThat(counter.count()).isEqualTo(12);
    }

    @Test
    void describesEveryMeter() {
        metrics.answered(200, RequestOutcome.SERVED, CacheOutcome.HIT, 1);
        metrics.called(UpstreamOutcome.SUCCESS, "none", 1);
        metrics.renewed(RenewalResult.FAILED, "ThrottlingException");
        metrics.listeners(List.of(new ListenerState("probes", "localhost:2703", () -> true, () -> false, () -> true)));
        metrics.agentCredentials(() -> true);
        metrics.agentCredentialsExpiry(() -> Optional.of(NOW));

        // The simple registry itself adds gauges for the buckets of a timer.
        assertThat(registry.getMeters()).filteredOn(meter -> !meter.getId().getName().endsWith(".histogram")).allSatisfy(meter -> {
            assertThat(meter.getId().getName()).matches("pod_identity_[a-z_]+");
            assertThat(meter.getId().getDescription()).isNotBlank();
        });
    }

    private double counter(String name, String... tags) {
        return Optional.ofNullable(registry.find(name).tags(tags).counter()).map(Counter::count).orElse(0.0);
    }

    private double gauge(String name) {
        return registry.get(name).gauge().value();
    }

    private double listener(String listener, String address) {
        return listener("pod_identity_listener_up", listener, address);
    }

    private double listener(String name, String listener, String address) {
        return registry.get(name)
                .tags(Tags.of("listener", listener, "address", address))
                .gauge()
                .value();
    }
}
