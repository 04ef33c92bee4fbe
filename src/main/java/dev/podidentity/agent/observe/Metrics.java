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
 * All meters of the agent, with their names, labels and meaning. The values of all labels come from small fixed sets or from
 * the configuration, so that a pod cannot add time series. Any thread.
 */
public final class Metrics {

    /** Requests answered. Labels {@code code} (HTTP status) and {@code outcome} ({@link RequestOutcome}). */
    static final String REQUESTS = "pod_identity_requests";
    /** Time from a request's headers to its response. Label {@code cache} ({@link CacheOutcome}). */
    static final String REQUEST_DURATION = "pod_identity_request_duration";
    /**
     * Time of each call to EKS Auth. Labels {@code outcome} ({@link UpstreamOutcome}) and {@code code} (error name, or
     * none).
     */
    static final String UPSTREAM_DURATION = "pod_identity_upstream_duration";
    /** Calls to EKS Auth that failed for a temporary reason. Label {@code reason} ({@link UpstreamFailure}). */
    static final String UPSTREAM_FAILURES = "pod_identity_upstream_failures";
    /** Calls to EKS Auth that are queued. */
    static final String UPSTREAM_QUEUED = "pod_identity_upstream_queued";
    /** Whether calls to EKS Auth fail for all identities, so that only occasional calls are made. */
    static final String UPSTREAM_OUTAGE = "pod_identity_upstream_outage";
    /** Calls to EKS Auth in flight. */
    static final String UPSTREAM_IN_FLIGHT = "pod_identity_upstream_in_flight";
    /** Responses of EKS Auth discarded because they named another service account than the token. */
    static final String WRONG_SUBJECTS = "pod_identity_upstream_wrong_subjects";
    /** Requests that wait for a call to EKS Auth. */
    static final String WAITING_REQUESTS = "pod_identity_waiting_requests";
    /** Identities with credentials in the cache. */
    static final String CACHE_ENTRIES = "pod_identity_cache_entries";
    /** Estimated memory used by the cache. */
    static final String CACHE_BYTES = "pod_identity_cache_size";
    /** Entries that left the cache. Label {@code cause} ({@link EvictionCause}). */
    static final String CACHE_EVICTIONS = "pod_identity_cache_evictions";
    /** Renewals that ended. Label {@code result} ({@link RenewalResult}). */
    static final String RENEWALS = "pod_identity_renewals";
    /** Cache entries whose renewal is overdue. */
    static final String RENEWALS_OVERDUE = "pod_identity_renewals_overdue";
    /** Time since the first overdue renewal became due; 0 if there is none. */
    static final String RENEWAL_LAG = "pod_identity_renewal_lag";
    /** Time until the first cache entry expires; NaN if the cache is empty. */
    static final String EARLIEST_EXPIRY = "pod_identity_earliest_expiry";
    /** Rejections by a limit. Label {@code limit} ({@link Limit}). */
    static final String LIMITED = "pod_identity_limit_rejections";
    /** Open connections to all listeners. */
    static final String CONNECTIONS = "pod_identity_connections";
    /** 1 if a listener is bound, otherwise 0. Labels {@code listener} and {@code address}. */
    static final String LISTENER_UP = "pod_identity_listener_up";
    /** 1 if another process listens on a listener's address and port. Labels {@code listener} and {@code address}. */
    static final String LISTENER_SHARED = "pod_identity_listener_shared";
    /** 1 unless this node lacks the address of a listener. Labels {@code listener} and {@code address}. */
    static final String LISTENER_REQUIRED = "pod_identity_listener_required";
    /** 1 if the agent has usable AWS credentials of its own. */
    static final String AGENT_CREDENTIALS = "pod_identity_agent_credentials";
    /** Time until the agent's own AWS credentials expire; NaN if there are none, or if their source states no expiration. */
    static final String AGENT_CREDENTIALS_EXPIRY = "pod_identity_agent_credentials_expiry";
    /** Kubernetes Events for pods. Label {@code result} ({@link EventResult}). */
    static final String EVENTS = "pod_identity_events";
    /** 1 until the node's startup taint is removed; 0 without {@code --startup-taint}. */
    static final String STARTUP_TAINT_PENDING = "pod_identity_startup_taint_pending";
    /** Pods of this node that are known to be running. */
    static final String PODS = "pod_identity_pods";
    /** 1 if the pods of this node are known and watched. */
    static final String PODS_SYNCED = "pod_identity_pods_synced";
    /** Watches on pods that ended. Label {@code cause} ({@link WatchEnd}). */
    static final String POD_WATCH_ENDS = "pod_identity_pod_watch_ends";
    /** Verdicts on tokens. Label {@code verdict} ({@link VerificationVerdict}). */
    static final String VERIFICATIONS = "pod_identity_token_verifications";
    /** Fetches of the signing keys. Label {@code result} ({@link KeyFetchResult}). */
    static final String KEY_FETCHES = "pod_identity_key_fetches";
    /** Time since the current signing keys were fetched; NaN if there are none. */
    static final String KEYS_AGE = "pod_identity_keys_age";
    /** Delay of the event loop. */
    static final String EVENT_LOOP_LAG = "pod_identity_event_loop_lag";
    /** Heap in use, garbage included. */
    static final String HEAP_USED = "pod_identity_heap_used";
    /** Maximum size of the heap; the process ends when it is full. */
    static final String HEAP_MAX = "pod_identity_heap_max";
    /** Memory outside the heap that connections use. */
    static final String DIRECT_MEMORY_USED = "pod_identity_direct_memory_used";
    /** Maximum memory outside the heap that connections may use. */
    static final String DIRECT_MEMORY_MAX = "pod_identity_direct_memory_max";
    /** Log lines that were dropped because standard output was not read. */
    static final String LOG_LINES_DROPPED = "pod_identity_log_lines_dropped";
    /** Always 1. Labels {@code version} and {@code java}. */
    static final String BUILD_INFO = "pod_identity_build_info";

    /** A metric of the reference: responses. Label {@code code} (HTTP status). */
    static final String REFERENCE_RESPONSES = "pod_identity_http_response";
    /**
     * A metric of the reference, with label {@code state} (hit, miss, evicted). A hit is a cache hit; the reference counts
     * renewals.
     */
    static final String REFERENCE_STATE = "pod_identity_cache_state";
    /** A metric of the reference: failed renewals. Labels {@code type} (Recoverable, NonRecoverable) and {@code code}. */
    static final String REFERENCE_ERRORS = "pod_identity_cache_errors";

    /** From a cache hit, some tens of microseconds, to slightly more than the request deadline. */
    private static final Duration[] REQUEST_BUCKETS = millis(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 900, 1000);
    /** From a call within a region to the timeout of a call. */
    private static final Duration[] UPSTREAM_BUCKETS = millis(5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000);
    /** A third of the time for which the maximum is kept, because Micrometer keeps three such windows. */
    private static final Duration LAG_WINDOW = Duration.ofSeconds(20);
    /** From the precision of a timer to a loop that is effectively stuck. */
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
    /** A registry look-up costs more than the rest of a cache hit, so meters that every request updates are kept here. */
    private final Map<CacheOutcome, Timer> requestTimers = new EnumMap<>(CacheOutcome.class);
    private final Map<CacheOutcome, Counter> referenceStates = new EnumMap<>(CacheOutcome.class);
    private final Map<RequestOutcome, Map<Integer, Answers>> answers = new EnumMap<>(RequestOutcome.class);
    private final Map<VerificationVerdict, Counter> verifications = new EnumMap<>(VerificationVerdict.class);

    public Metrics(MeterRegistry registry, BuildInfo build, Clock clock) {
        this.registry = registry;
        this.clock = clock;
        gauge(UPSTREAM_IN_FLIGHT, "Calls to EKS Auth in progress", calling);
        gauge(UPSTREAM_QUEUED, "Calls to EKS Auth in the queue", queued);
        gauge(UPSTREAM_OUTAGE, "1 while calls to EKS Auth fail for all identities, otherwise 0", outage);
        gauge(WAITING_REQUESTS, "Requests that wait for a call to EKS Auth, including coalesced requests", waiting);
        gauge(CONNECTIONS, "Open connections to all listeners", connections);
        gauge(CACHE_ENTRIES, "Identities with credentials in the cache", entries);
        gauge(RENEWALS_OVERDUE, "Cache entries whose renewal is overdue", renewalsOverdue);
        gauge(STARTUP_TAINT_PENDING, "1 while the startup taint must still be removed from the node, otherwise 0", startupTaint);
        gauge(PODS, "Pods of this node that are known to be running", pods);
        gauge(PODS_SYNCED, "1 while the list of this node's pods is complete and up to date, otherwise 0", podsSynced);
        bytes(CACHE_BYTES, "Estimated memory used by the cache", bytes::get);
        Runtime runtime = Runtime.getRuntime();
        bytes(HEAP_USED, "Heap in use, including garbage", () -> runtime.totalMemory() - runtime.freeMemory());
        bytes(HEAP_MAX, "Maximum size of the heap; the process exits if it needs more", runtime::maxMemory);
        bytes(DIRECT_MEMORY_USED, "Direct memory in use, which connections need to receive and send", DirectMemory::used);
        bytes(DIRECT_MEMORY_MAX, "Maximum size of direct memory; a connection that gets no buffer is closed", DirectMemory::max);
        FunctionCounter.builder(LOG_LINES_DROPPED, this, metrics -> metrics.droppedLines.getAsLong())
                .description("Log lines dropped because standard output was not read")
                .register(registry);
        loopLag = Timer.builder(EVENT_LOOP_LAG)
                .description("Delay of the event loop")
                .serviceLevelObjectives(LAG_BUCKETS)
                .distributionStatisticExpiry(LAG_WINDOW)
                .register(registry);
        seconds(EARLIEST_EXPIRY, "Time until the first cache entry expires; NaN if the cache is empty",
                () -> earliestExpiry.map(this::until));
        seconds(RENEWAL_LAG, "Time since the first overdue renewal became due; 0 if none is overdue",
                () -> Optional.of(renewalLag));
        seconds(KEYS_AGE, "Time since the current signing keys were fetched; NaN if there are none",
                () -> keysFetchedAt.map(this::until).map(Duration::negated));
        Gauge.builder(BUILD_INFO, () -> 1)
                .description("The running build; always 1")
                .tags("version", build.version(), "java", System.getProperty("java.version", "unknown"))
                .register(registry);
        listeners = MultiGauge.builder(LISTENER_UP)
                .description("1 while the listener is bound, otherwise 0")
                .register(registry);
        sharedListeners = MultiGauge.builder(LISTENER_SHARED)
                .description("1 while another process also listens on the address, otherwise 0")
                .register(registry);
        requiredListeners = MultiGauge.builder(LISTENER_REQUIRED)
                .description("0 if this node does not have the listener's address, otherwise 1")
                .register(registry);
        // What never happened is 0, not absent: a rate over an absent series misses the first occurrence.
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

    /** Records a response to a request. */
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
                counter(REQUESTS, "Requests that got a response, by HTTP status and outcome",
                        "code", code, "outcome", outcome.label()),
                counter(REFERENCE_RESPONSES, "Pod Identity http response code", "code", code));
    }

    /** Records a call to EKS Auth. */
    public void called(UpstreamOutcome outcome, String code, long nanos) {
        Timer.builder(UPSTREAM_DURATION)
                .description("Duration of each call to EKS Auth")
                .tags("outcome", outcome.label(), "code", code)
                .serviceLevelObjectives(UPSTREAM_BUCKETS)
                .register(registry)
                .record(nanos, TimeUnit.NANOSECONDS);
    }

    /** Records a call to EKS Auth that failed for a temporary reason. */
    public void upstreamFailed(UpstreamFailure failure) {
        upstreamFailures(failure).increment();
    }

    /** Sets the number of queued calls to EKS Auth. */
    public void fetchesQueued(int now) {
        queued.set(now);
    }

    /** Sets whether calls to EKS Auth fail for all identities. */
    public void outage(boolean now) {
        outage.set(now ? 1 : 0);
    }

    /** Records that EKS Auth returned credentials of another service account, which are not used. */
    public void wrongSubject() {
        wrongSubjects(1);
    }

    /** Changes the number of calls to EKS Auth in flight. */
    public void calling(int change) {
        calling.addAndGet(change);
    }

    /** Changes the number of waiting requests. */
    public void waiting(int change) {
        waiting.addAndGet(change);
    }

    /** Changes the number of open connections. */
    public void connected(int change) {
        connections.addAndGet(change);
    }

    /** Sets the size of the cache. */
    public void cached(int entriesNow, long bytesNow) {
        entries.set(entriesNow);
        bytes.set(bytesNow);
    }

    /** Records that an entry left the cache. */
    public void evicted(EvictionCause cause) {
        evictions(cause).increment();
        referenceEvictions.increment();
    }

    /**
     * Records a renewal.
     *
     * @param code the error name, if it failed
     */
    public void renewed(RenewalResult result, String code) {
        renewals(result).increment();
        switch (result) {
            case SUCCESS -> { }
            case FAILED -> referenceError("Recoverable", code);
            case REFUSED -> referenceError("NonRecoverable", code);
        }
    }

    /** Records the result of a Kubernetes Event. */
    public void event(EventResult result) {
        events(result).increment();
    }

    /** Sets whether the node's startup taint must still be removed. */
    public void startupTaint(boolean pending) {
        startupTaint.set(pending ? 1 : 0);
    }

    /** Sets the number of overdue renewals, and the time since the first of them became due. */
    public void renewalsOverdue(int now, Duration lag) {
        renewalsOverdue.set(now);
        renewalLag = lag;
    }

    /** Sets when the first cache entry expires. */
    public void earliestExpiry(Optional<Instant> expiry) {
        earliestExpiry = expiry;
    }

    /** Records a verdict on a token. */
    public void verified(VerificationVerdict verdict) {
        verifications.get(verdict).increment();
    }

    /** Records a fetch of the signing keys. */
    public void keysFetched(KeyFetchResult result) {
        keyFetches(result).increment();
    }

    /** Sets when the current signing keys were fetched, if there are any. */
    public void keysFetchedAt(Optional<Instant> instant) {
        keysFetchedAt = instant;
    }

    /** Records a rejection by a limit. */
    public void limited(Limit limit) {
        limited(limit, 1);
    }

    /** Sets the number of pods known to be running, and whether the list is complete and current. */
    public void podsWatched(int living, boolean synced) {
        pods.set(living);
        podsSynced.set(synced ? 1 : 0);
    }

    /** Records that a watch on pods ended. */
    public void podWatchEnded(WatchEnd cause) {
        podWatchEnds(cause).increment();
    }

    /** Observes the state of listeners; replaces the listeners observed before. */
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

    /** Records a delay of the event loop. */
    public void loopLagged(long nanos) {
        loopLag.record(nanos, TimeUnit.NANOSECONDS);
    }

    /** Observes the number of dropped log lines. */
    public void logLinesDropped(LongSupplier dropped) {
        droppedLines = dropped;
    }

    /** Observes whether the agent has usable AWS credentials of its own. */
    public void agentCredentials(BooleanSupplier usable) {
        Gauge.builder(AGENT_CREDENTIALS, () -> usable.getAsBoolean() ? 1 : 0)
                .description("1 while the agent has usable AWS credentials of its own, otherwise 0")
                .register(registry);
    }

    /** Observes when the agent's own AWS credentials expire, if there are any and they do. */
    public void agentCredentialsExpiry(Supplier<Optional<Instant>> expiry) {
        seconds(AGENT_CREDENTIALS_EXPIRY,
                "Time until the agent's own AWS credentials expire; NaN if there are none or their source states no expiration",
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
        return counter(POD_WATCH_ENDS, "Watches on pods, and the lists before them, that ended and restarted",
                "cause", cause.label());
    }

    private Counter renewals(RenewalResult result) {
        return counter(RENEWALS, "Completed renewals", "result", result.label());
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
        counter(WRONG_SUBJECTS, "Responses of EKS Auth discarded because they named another service account than the token")
                .increment(times);
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

    /** Registers a duration, which is NaN while there is none. */
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
