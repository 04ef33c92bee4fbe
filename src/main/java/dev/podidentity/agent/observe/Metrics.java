package dev.podidentity.agent.observe;

import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.MultiGauge;
import io.micrometer.core.instrument.Tags;
import io.micrometer.core.instrument.Timer;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BooleanSupplier;
import java.util.function.LongSupplier;
import java.util.function.Supplier;

/**
 * Every meter of the agent: its name, its labels, and what it means. The values of all labels come from small fixed
 * sets, or from the configuration, so that nothing a pod sends can add a time series. Any thread.
 */
public final class Metrics {

    /** Requests answered. Labels {@code code} (HTTP status) and {@code outcome} ({@link RequestOutcome}). */
    static final String REQUESTS = "pod_identity_requests";
    /** Time from a request's headers to its answer. Label {@code cache} ({@link CacheOutcome}). */
    static final String REQUEST_DURATION = "pod_identity_request_duration";
    /** Time of each call to EKS Auth. Labels {@code outcome} ({@link UpstreamOutcome}) and {@code code} (error name, or none). */
    static final String UPSTREAM_DURATION = "pod_identity_upstream_duration";
    /** Calls to EKS Auth that failed for a reason that may pass. Label {@code reason} ({@link UpstreamFailure}). */
    static final String UPSTREAM_FAILURES = "pod_identity_upstream_failures";
    /** Calls to EKS Auth that wait for their turn. */
    static final String UPSTREAM_QUEUED = "pod_identity_upstream_queued";
    /** Whether calls to EKS Auth fail for all identities, so that only one in a while is made. */
    static final String UPSTREAM_OUTAGE = "pod_identity_upstream_outage";
    /** Calls to EKS Auth under way. */
    static final String UPSTREAM_IN_FLIGHT = "pod_identity_upstream_in_flight";
    /** Answers of EKS Auth that were thrown away, as they name another service account than the token's. */
    static final String WRONG_SUBJECTS = "pod_identity_upstream_wrong_subjects";
    /** Requests that wait for a call to EKS Auth. */
    static final String WAITING_REQUESTS = "pod_identity_waiting_requests";
    /** Identities with credentials in the cache. */
    static final String CACHE_ENTRIES = "pod_identity_cache_entries";
    /** About how much memory the cache takes. */
    static final String CACHE_BYTES = "pod_identity_cache_size";
    /** Entries that left the cache. Label {@code cause} ({@link EvictionCause}). */
    static final String CACHE_EVICTIONS = "pod_identity_cache_evictions";
    /** Renewals that ended. Label {@code result} ({@link RenewalResult}). */
    static final String RENEWALS = "pod_identity_renewals";
    /** Entries whose renewal is due and has not come. */
    static final String RENEWALS_OVERDUE = "pod_identity_renewals_overdue";
    /** For how long the first of them has been due; 0 while there is none. */
    static final String RENEWAL_LAG = "pod_identity_renewal_lag";
    /** Time until the first entry of the cache expires; NaN while it is empty. */
    static final String EARLIEST_EXPIRY = "pod_identity_earliest_expiry";
    /** What a limit turned away. Label {@code limit} ({@link Limit}). */
    static final String LIMITED = "pod_identity_limit_rejections";
    /** Open connections to all listeners. */
    static final String CONNECTIONS = "pod_identity_connections";
    /** 1 while a listener is bound, 0 while it is not. Labels {@code listener} and {@code address}. */
    static final String LISTENER_UP = "pod_identity_listener_up";
    /** 1 while another process listens where a listener does. Labels {@code listener} and {@code address}. */
    static final String LISTENER_SHARED = "pod_identity_listener_shared";
    /** 1 unless this node does not have the address of a listener. Labels {@code listener} and {@code address}. */
    static final String LISTENER_REQUIRED = "pod_identity_listener_required";
    /** 1 while the agent has AWS credentials of its own that can be used. */
    static final String AGENT_CREDENTIALS = "pod_identity_agent_credentials";
    /** Time until the agent's own AWS credentials expire; NaN if there are none, or if they do not expire. */
    static final String AGENT_CREDENTIALS_EXPIRY = "pod_identity_agent_credentials_expiry";
    /** Kubernetes Events for pods. Label {@code result} ({@link EventResult}). */
    static final String EVENTS = "pod_identity_events";
    /** 1 while the node's startup taint is still to be removed; 0 without {@code --startup-taint}. */
    static final String STARTUP_TAINT_PENDING = "pod_identity_startup_taint_pending";
    /** Pods of this node that are known to live. */
    static final String PODS = "pod_identity_pods";
    /** 1 while the pods of this node are known and watched. */
    static final String PODS_SYNCED = "pod_identity_pods_synced";
    /** Watches on pods that ended. Label {@code cause} ({@link WatchEnd}). */
    static final String POD_WATCH_ENDS = "pod_identity_pod_watch_ends";
    /** Tokens that were verified, or could not be. Label {@code verdict} ({@link VerificationVerdict}). */
    static final String VERIFICATIONS = "pod_identity_token_verifications";
    /** Fetches of the keys that tokens are verified with. Label {@code result} ({@link KeyFetchResult}). */
    static final String KEY_FETCHES = "pod_identity_key_fetches";
    /** Time since the keys in use were fetched; NaN while there are none. */
    static final String KEYS_AGE = "pod_identity_keys_age";
    /** How late the event loop does what is due. */
    static final String EVENT_LOOP_LAG = "pod_identity_event_loop_lag";
    /** What the heap holds, garbage included. */
    static final String HEAP_USED = "pod_identity_heap_used";
    /** What the heap may hold; when it is full the process ends. */
    static final String HEAP_MAX = "pod_identity_heap_max";
    /** Memory outside of the heap that connections take. */
    static final String DIRECT_MEMORY_USED = "pod_identity_direct_memory_used";
    /** Memory outside of the heap that connections may take. */
    static final String DIRECT_MEMORY_MAX = "pod_identity_direct_memory_max";
    /** Log lines that were not written, as standard output was not read. */
    static final String LOG_LINES_DROPPED = "pod_identity_log_lines_dropped";
    /** Always 1. Labels {@code version} and {@code java}. */
    static final String BUILD_INFO = "pod_identity_build_info";

    /** The reference's: answers. Label {@code code} (HTTP status). */
    static final String REFERENCE_RESPONSES = "pod_identity_http_response";
    /** The reference's: label {@code state} (hit, miss, evicted). A hit is a hit here; the reference counts renewals. */
    static final String REFERENCE_STATE = "pod_identity_cache_state";
    /** The reference's: renewals that failed. Labels {@code type} (Recoverable, NonRecoverable) and {@code code}. */
    static final String REFERENCE_ERRORS = "pod_identity_cache_errors";

    /** From a hit, some tens of microseconds, to the deadline of a request and a little more. */
    private static final Duration[] REQUEST_BUCKETS = millis(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 900, 1000);
    /** From a call inside a region to the time that one may take. */
    private static final Duration[] UPSTREAM_BUCKETS = millis(5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000);
    /** From the precision of a timer to a loop that is as good as dead. */
    private static final Duration[] LAG_BUCKETS = millis(5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000);

    private final MeterRegistry registry;
    private final AtomicInteger calling = new AtomicInteger();
    private final AtomicInteger queued = new AtomicInteger();
    private final AtomicInteger outage = new AtomicInteger();
    private final AtomicInteger waiting = new AtomicInteger();
    private final AtomicInteger connections = new AtomicInteger();
    private final AtomicInteger entries = new AtomicInteger();
    private final AtomicLong bytes = new AtomicLong();
    private final AtomicInteger startupTaint = new AtomicInteger();
    private final AtomicInteger pods = new AtomicInteger();
    private final AtomicInteger podsSynced = new AtomicInteger();
    private final AtomicInteger renewalsOverdue = new AtomicInteger();
    private volatile Duration renewalLag = Duration.ZERO;
    private volatile Optional<Instant> earliestExpiry = Optional.empty();
    private volatile Optional<Instant> keysFetchedAt = Optional.empty();
    private volatile LongSupplier droppedLines = () -> 0;
    private final MultiGauge listeners;
    private final MultiGauge sharedListeners;
    private final MultiGauge requiredListeners;
    private final Clock clock;
    private final Timer loopLag;
    private final Counter referenceEvictions;
    /** A look-up in the registry costs more than the rest of a hit, so what every request counts is kept. */
    private final Map<CacheOutcome, Timer> requestTimers = new EnumMap<>(CacheOutcome.class);
    private final Map<CacheOutcome, Counter> referenceStates = new EnumMap<>(CacheOutcome.class);
    private final Map<RequestOutcome, Map<Integer, Answers>> answers = new EnumMap<>(RequestOutcome.class);
    private final Map<VerificationVerdict, Counter> verifications = new EnumMap<>(VerificationVerdict.class);

    public Metrics(MeterRegistry registry, BuildInfo build, Clock clock) {
        this.registry = registry;
        this.clock = clock;
        gauge(UPSTREAM_IN_FLIGHT, "Calls to EKS Auth in progress", calling);
        gauge(UPSTREAM_QUEUED, "Calls to EKS Auth that are queued", queued);
        gauge(UPSTREAM_OUTAGE, "Whether calls to EKS Auth fail for all identities", outage);
        gauge(WAITING_REQUESTS, "Requests that wait for a call to EKS Auth", waiting);
        gauge(CONNECTIONS, "Open connections to all listeners", connections);
        gauge(CACHE_ENTRIES, "Identities with credentials in the cache", entries);
        gauge(RENEWALS_OVERDUE, "Cache entries whose renewal is overdue", renewalsOverdue);
        gauge(STARTUP_TAINT_PENDING, "Whether the node's startup taint is still to be removed", startupTaint);
        gauge(PODS, "Pods of this node that are known to be running", pods);
        gauge(PODS_SYNCED, "Whether the list of this node's pods is complete and up to date", podsSynced);
        bytes(CACHE_BYTES, "Estimated memory used by the cache", bytes::get);
        Runtime runtime = Runtime.getRuntime();
        bytes(HEAP_USED, "Heap in use, garbage included", () -> runtime.totalMemory() - runtime.freeMemory());
        bytes(HEAP_MAX, "Maximum size of the heap", runtime::maxMemory);
        bytes(DIRECT_MEMORY_USED, "Direct memory in use, which connections need", DirectMemory::used);
        bytes(DIRECT_MEMORY_MAX, "Maximum of direct memory", DirectMemory::max);
        FunctionCounter.builder(LOG_LINES_DROPPED, this, metrics -> metrics.droppedLines.getAsLong())
                .description("Log lines dropped because standard output was not read")
                .register(registry);
        loopLag = Timer.builder(EVENT_LOOP_LAG)
                .description("Delay of the event loop")
                .serviceLevelObjectives(LAG_BUCKETS)
                .register(registry);
        seconds(EARLIEST_EXPIRY, "Time until the first cache entry expires", () -> earliestExpiry.map(this::until));
        seconds(RENEWAL_LAG, "Time since the first overdue renewal became due", () -> Optional.of(renewalLag));
        seconds(KEYS_AGE, "Time since the signing keys were fetched",
                () -> keysFetchedAt.map(this::until).map(Duration::negated));
        Gauge.builder(BUILD_INFO, () -> 1)
                .description("The running build")
                .tags("version", build.version(), "java", System.getProperty("java.version", "unknown"))
                .register(registry);
        listeners = MultiGauge.builder(LISTENER_UP)
                .description("Whether a listener is bound")
                .register(registry);
        sharedListeners = MultiGauge.builder(LISTENER_SHARED)
                .description("Whether another process also listens on this address")
                .register(registry);
        requiredListeners = MultiGauge.builder(LISTENER_REQUIRED)
                .description("Whether this node has the address of a listener, or may have it")
                .register(registry);
        // What has never happened is 0, not absent: a rate over an absent series finds nothing the first time.
        for (CacheOutcome outcome : CacheOutcome.values()) {
            requestTimers.put(outcome, requestTimer(outcome));
        }
        referenceStates.put(CacheOutcome.HIT, referenceState("hit"));
        referenceStates.put(CacheOutcome.MISS, referenceState("miss"));
        for (RequestOutcome outcome : RequestOutcome.values()) {
            answers.put(outcome, new ConcurrentHashMap<>());
        }
        for (EvictionCause cause : EvictionCause.values()) {
            evictions(cause);
        }
        for (RenewalResult result : RenewalResult.values()) {
            renewals(result);
        }
        for (EventResult result : EventResult.values()) {
            events(result);
        }
        for (Limit limit : Limit.values()) {
            limited(limit, 0);
        }
        for (UpstreamFailure failure : UpstreamFailure.values()) {
            upstreamFailures(failure);
        }
        wrongSubjects(0);
        for (WatchEnd cause : WatchEnd.values()) {
            podWatchEnds(cause);
        }
        for (VerificationVerdict verdict : VerificationVerdict.values()) {
            verifications.put(verdict, counter(VERIFICATIONS, "Verdicts on tokens", "verdict", verdict.label()));
        }
        for (KeyFetchResult result : KeyFetchResult.values()) {
            keyFetches(result);
        }
        referenceEvictions = referenceState("evicted");
    }

    /** A request was answered. */
    public void answered(int status, RequestOutcome outcome, CacheOutcome cache, long nanos) {
        Answers counted = answers.get(outcome).computeIfAbsent(status, code -> answers(outcome, code.toString()));
        counted.ours.increment();
        counted.reference.increment();
        requestTimers.get(cache).record(nanos, TimeUnit.NANOSECONDS);
        Counter state = referenceStates.get(cache);
        if (state != null) {
            state.increment();
        }
    }

    private Answers answers(RequestOutcome outcome, String code) {
        return new Answers(
                counter(REQUESTS, "Requests answered", "code", code, "outcome", outcome.label()),
                counter(REFERENCE_RESPONSES, "Pod Identity http response code", "code", code));
    }

    /** A call to EKS Auth ended. */
    public void called(UpstreamOutcome outcome, String code, long nanos) {
        Timer.builder(UPSTREAM_DURATION)
                .description("Time of each call to EKS Auth")
                .tags("outcome", outcome.label(), "code", code)
                .serviceLevelObjectives(UPSTREAM_BUCKETS)
                .register(registry)
                .record(nanos, TimeUnit.NANOSECONDS);
    }

    /** A call to EKS Auth failed for a reason that may pass. */
    public void upstreamFailed(UpstreamFailure failure) {
        upstreamFailures(failure).increment();
    }

    /** So many calls to EKS Auth wait for their turn now. */
    public void fetchesQueued(int now) {
        queued.set(now);
    }

    /** Calls to EKS Auth fail for all identities now, or do not any more. */
    public void outage(boolean now) {
        outage.set(now ? 1 : 0);
    }

    /** EKS Auth returned credentials of another service account; they are not used. */
    public void wrongSubject() {
        wrongSubjects(1);
    }

    /** Calls to EKS Auth began or ended. */
    public void calling(int change) {
        calling.addAndGet(change);
    }

    /** Requests began or ceased to wait. */
    public void waiting(int change) {
        waiting.addAndGet(change);
    }

    /** Connections were opened or closed. */
    public void connected(int change) {
        connections.addAndGet(change);
    }

    /** The cache holds so much now. */
    public void cached(int entriesNow, long bytesNow) {
        entries.set(entriesNow);
        bytes.set(bytesNow);
    }

    /** An entry left the cache. */
    public void evicted(EvictionCause cause) {
        evictions(cause).increment();
        referenceEvictions.increment();
    }

    /**
     * A renewal ended.
     *
     * @param code the error's name, if it failed
     */
    public void renewed(RenewalResult result, String code) {
        renewals(result).increment();
        switch (result) {
            case SUCCESS -> { }
            case FAILED -> referenceError("Recoverable", code);
            case REFUSED -> referenceError("NonRecoverable", code);
        }
    }

    /** A Kubernetes Event was put on a pod, or not. */
    public void event(EventResult result) {
        events(result).increment();
    }

    /** Whether the node's startup taint is still to be removed. */
    public void startupTaint(boolean pending) {
        startupTaint.set(pending ? 1 : 0);
    }

    /** So many renewals are due and have not come, the first of them for so long. */
    public void renewalsOverdue(int now, Duration lag) {
        renewalsOverdue.set(now);
        renewalLag = lag;
    }

    /** When the first entry of the cache expires. */
    public void earliestExpiry(Optional<Instant> expiry) {
        earliestExpiry = expiry;
    }

    /** A token was verified, or could not be. */
    public void verified(VerificationVerdict verdict) {
        verifications.get(verdict).increment();
    }

    /** A fetch of the keys that tokens are verified with ended. */
    public void keysFetched(KeyFetchResult result) {
        keyFetches(result).increment();
    }

    /** When the keys that tokens are verified with now were fetched, if there are any. */
    public void keysFetchedAt(Optional<Instant> instant) {
        keysFetchedAt = instant;
    }

    /** A limit turned something away. */
    public void limited(Limit limit) {
        limited(limit, 1);
    }

    /** So many pods are known to live, and whether that is all that is to be known of them. */
    public void podsWatched(int living, boolean synced) {
        pods.set(living);
        podsSynced.set(synced ? 1 : 0);
    }

    /** A watch on pods ended. */
    public void podWatchEnded(WatchEnd cause) {
        podWatchEnds(cause).increment();
    }

    /** Watches whether listeners are bound; replaces those watched before. */
    public void listeners(Iterable<ListenerState> states) {
        var up = new ArrayList<MultiGauge.Row<?>>();
        var shared = new ArrayList<MultiGauge.Row<?>>();
        var required = new ArrayList<MultiGauge.Row<?>>();
        states.forEach(state -> {
            Tags tags = Tags.of("listener", state.listener(), "address", state.address());
            up.add(MultiGauge.Row.of(tags, () -> state.up().getAsBoolean() ? 1 : 0));
            shared.add(MultiGauge.Row.of(tags, () -> state.shared().getAsBoolean() ? 1 : 0));
            required.add(MultiGauge.Row.of(tags, () -> state.required().getAsBoolean() ? 1 : 0));
        });
        listeners.register(up, true);
        sharedListeners.register(shared, true);
        requiredListeners.register(required, true);
    }

    /** The event loop did something so much later than it was due. */
    public void loopLagged(long nanos) {
        loopLag.record(nanos, TimeUnit.NANOSECONDS);
    }

    /** Watches how many log lines were dropped. */
    public void logLinesDropped(LongSupplier dropped) {
        droppedLines = dropped;
    }

    /** Watches whether the agent has AWS credentials of its own that can be used. */
    public void agentCredentials(BooleanSupplier usable) {
        Gauge.builder(AGENT_CREDENTIALS, () -> usable.getAsBoolean() ? 1 : 0)
                .description("Whether the agent has AWS credentials of its own that can be used")
                .register(registry);
    }

    /** Watches when the agent's own AWS credentials expire, if there are any and they do. */
    public void agentCredentialsExpiry(Supplier<Optional<Instant>> expiry) {
        seconds(AGENT_CREDENTIALS_EXPIRY, "Time until the agent's own AWS credentials expire",
                () -> expiry.get().map(this::until));
    }

    private Duration until(Instant instant) {
        return Duration.between(clock.instant(), instant);
    }

    private Timer requestTimer(CacheOutcome cache) {
        return Timer.builder(REQUEST_DURATION)
                .description("Time from the headers of a request to its response")
                .tags("cache", cache.label())
                .serviceLevelObjectives(REQUEST_BUCKETS)
                .register(registry);
    }

    private Counter evictions(EvictionCause cause) {
        return counter(CACHE_EVICTIONS, "Entries removed from the cache", "cause", cause.label());
    }

    private Counter podWatchEnds(WatchEnd cause) {
        return counter(POD_WATCH_ENDS, "Watches on pods that ended", "cause", cause.label());
    }

    private Counter renewals(RenewalResult result) {
        return counter(RENEWALS, "Renewals that ended", "result", result.label());
    }

    private Counter events(EventResult result) {
        return counter(EVENTS, "Kubernetes Events for pods", "result", result.label());
    }

    private Counter keyFetches(KeyFetchResult result) {
        return counter(KEY_FETCHES, "Fetches of the signing keys", "result", result.label());
    }

    private void limited(Limit limit, int times) {
        counter(LIMITED, "Requests and connections rejected by a limit", "limit", limit.label()).increment(times);
    }

    private Counter upstreamFailures(UpstreamFailure failure) {
        return counter(UPSTREAM_FAILURES, "Calls to EKS Auth that failed for a temporary reason", "reason", failure.label());
    }

    private void wrongSubjects(int times) {
        counter(WRONG_SUBJECTS, "Responses of EKS Auth that named another service account than the token").increment(times);
    }

    private Counter referenceState(String state) {
        return counter(REFERENCE_STATE, "The state of credential in cache", "state", state);
    }

    private void referenceError(String type, String code) {
        counter(REFERENCE_ERRORS, "Removing credentials from cache, got non recoverable error", "type", type, "code", code)
                .increment();
    }

    private Counter counter(String name, String description, String... tags) {
        return Counter.builder(name).description(description).tags(tags).register(registry);
    }

    private void gauge(String name, String description, AtomicInteger value) {
        Gauge.builder(name, value, AtomicInteger::get).description(description).register(registry);
    }

    /** A time, which is NaN while there is none. */
    private void seconds(String name, String description, Supplier<Optional<Duration>> value) {
        Gauge.builder(name, () -> value.get().map(time -> time.toMillis() / 1000.0).orElse(Double.NaN))
                .description(description)
                .baseUnit("seconds")
                .register(registry);
    }

    private void bytes(String name, String description, Supplier<Number> value) {
        Gauge.builder(name, value).description(description).baseUnit("bytes").register(registry);
    }

    /** The counters of one outcome and status. */
    private record Answers(Counter ours, Counter reference) {}

    private static Duration[] millis(double... millis) {
        Duration[] durations = new Duration[millis.length];
        for (int i = 0; i < millis.length; i++) {
            durations[i] = Duration.ofNanos((long) (millis[i] * 1e6));
        }
        return durations;
    }
}
