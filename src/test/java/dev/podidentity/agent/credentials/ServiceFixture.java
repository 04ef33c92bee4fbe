package dev.podidentity.agent.credentials;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.observe.BuildInfo;
import dev.podidentity.agent.observe.EvictionCause;
import dev.podidentity.agent.observe.LimitReport;
import dev.podidentity.agent.observe.Metrics;
import dev.podidentity.agent.observe.RenewalResult;
import dev.podidentity.agent.testing.FakeLoop;
import dev.podidentity.agent.testing.FakeTime;
import dev.podidentity.agent.testing.TestLoop;
import dev.podidentity.agent.token.ServiceAccountToken;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/** A credential service whose surroundings are all fakes, and its clients. */
final class ServiceFixture {

    static final Duration DEADLINE = Duration.ofMillis(900);
    /** The first backoff pause with the random number that most tests use. */
    static final Duration FIRST_PAUSE = Duration.ofMillis(250).multipliedBy(3).dividedBy(4);
    static final Duration FLIGHT_TIMEOUT = Duration.ofSeconds(15);
    static final String SOURCE = "10.0.0.1";
    static final CredentialSettings DEFAULTS =
            new CredentialSettings(Duration.ofHours(3), 2000, 3, 10, FLIGHT_TIMEOUT);

    final FakeTime time = new FakeTime();
    final FakeLoop loop = new FakeLoop();
    final FakeEksAuth eksAuth = new FakeEksAuth(time);
    final SimpleMeterRegistry registry = new SimpleMeterRegistry();
    final Metrics metrics = new Metrics(registry, new BuildInfo("test"), time.clock());
    /** The UIDs of the pods that a watch reports as gone. */
    final Set<String> gone = new HashSet<>();
    final CredentialService service;
    final Renewer renewer;
    double random = 0.5;

    private final List<RecordingAnswer> clients = new ArrayList<>();

    ServiceFixture() {
        this(DEFAULTS);
    }

    ServiceFixture(CredentialSettings settings) {
        service = new CredentialService(
                eksAuth,
                settings,
                (podUid, issuedAt) -> gone.contains(podUid),
                metrics,
                new LimitReport(metrics, time.nanos()),
                time.clock(),
                time.nanos(),
                new TestLoop(time, loop),
                () -> random);
        renewer = new Renewer(service, settings, metrics, time.clock(), time.nanos(), time);
    }

    static CredentialSettings cacheSize(int size) {
        return new CredentialSettings(DEFAULTS.retention(), size, 3, 10, FLIGHT_TIMEOUT);
    }

    static CredentialSettings retention(Duration retention) {
        return new CredentialSettings(retention, 2000, 3, 10, FLIGHT_TIMEOUT);
    }

    static CredentialSettings renewalsPerSecond(int renewals) {
        return new CredentialSettings(DEFAULTS.retention(), 2000, renewals, 10, FLIGHT_TIMEOUT);
    }

    static CredentialSettings concurrentFetches(int fetches) {
        return new CredentialSettings(DEFAULTS.retention(), 2000, 3, fetches, FLIGHT_TIMEOUT);
    }

    RecordingAnswer ask(ServiceAccountToken token) {
        return ask(token, SOURCE);
    }

    RecordingAnswer ask(ServiceAccountToken token, String source) {
        return ask(TokenBuilder.unverified(token), source);
    }

    RecordingAnswer ask(Caller caller) {
        return ask(caller, SOURCE);
    }

    RecordingAnswer ask(Caller caller, String source) {
        RecordingAnswer client = new RecordingAnswer(time);
        clients.add(client);
        client.waitsFor(service.request(caller, source, DEADLINE, Duration.ZERO, client));
        return client;
    }

    /** Makes the watch see that a pod is gone. */
    void die(String podUid) {
        gone.add(podUid);
        service.podGone(podUid);
    }

    List<RecordingAnswer> ask(int times, ServiceAccountToken token) {
        List<RecordingAnswer> asked = new ArrayList<>();
        for (int i = 0; i < times; i++) {
            asked.add(ask(token));
        }
        return asked;
    }

    /** Puts credentials of the given lifetime into the cache, and uses them once. */
    Credentials cached(ServiceAccountToken token, Duration lifetime) {
        RecordingAnswer client = ask(token);
        eksAuth.last().succeed(time.now().plus(lifetime));
        return client.credentials();
    }

    /** Puts credentials of the given lifetime into the cache, and uses them once. */
    Credentials cached(Caller caller, Duration lifetime) {
        RecordingAnswer client = ask(caller);
        eksAuth.last().succeed(time.now().plus(lifetime));
        return client.credentials();
    }

    int calls() {
        return eksAuth.calls().size();
    }

    int callsFor(ServiceAccountToken token) {
        return (int) eksAuth.calls().stream()
                .filter(call -> call.token().equals(token))
                .count();
    }

    int waiting() {
        return gauge("pod_identity_waiting_requests");
    }

    int inFlight() {
        return gauge("pod_identity_upstream_in_flight");
    }

    int entries() {
        return gauge("pod_identity_cache_entries");
    }

    int bytes() {
        return gauge("pod_identity_cache_size");
    }

    int evicted(EvictionCause cause) {
        return count("pod_identity_cache_evictions", "cause", cause.label());
    }

    int renewals(RenewalResult result) {
        return count("pod_identity_renewals", "result", result.label());
    }

    int count(String name, String... tags) {
        Counter counter = registry.find(name).tags(tags).counter();
        return counter == null ? 0 : (int) counter.count();
    }

    /** Returns the number of calls that ended with the given outcome and code. */
    long called(String outcome, String code) {
        var timer = registry.find("pod_identity_upstream_duration")
                .tags("outcome", outcome, "code", code)
                .timer();
        return timer == null ? 0 : timer.count();
    }

    double earliestExpirySeconds() {
        return registry.get("pod_identity_earliest_expiry").gauge().value();
    }

    int overdueRenewals() {
        return gauge("pod_identity_renewals_overdue");
    }

    double renewalLagSeconds() {
        return registry.get("pod_identity_renewal_lag").gauge().value();
    }

    int queued() {
        return gauge("pod_identity_upstream_queued");
    }

    private int gauge(String name) {
        return (int) registry.get(name).gauge().value();
    }

    /** Ends all open calls, and checks what must hold after every scenario. */
    void settle() {
        renewer.stop();
        eksAuth.answerAtOnce(FakeEksAuth.UNAVAILABLE);
        for (FakeEksAuth.Call call : eksAuth.open()) {
            call.answer(FakeEksAuth.UNAVAILABLE);
        }
        time.advance(Duration.ofMinutes(1));
        assertThat(waiting()).as("waiting requests").isZero();
        assertThat(inFlight()).as("calls in flight").isZero();
        assertThat(time.pending()).as("timers left").isZero();
        assertThat(clients).allSatisfy(client -> {
            if (!client.abandoned()) {
                assertThat(client.answers()).as("answers").isEqualTo(1);
                assertThat(client.took()).isLessThanOrEqualTo(DEADLINE);
            }
        });
    }
}
