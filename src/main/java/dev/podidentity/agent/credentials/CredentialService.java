package dev.podidentity.agent.credentials;

import dev.podidentity.agent.eksauth.EksAuth;
import dev.podidentity.agent.eksauth.EksAuthAnswer;
import dev.podidentity.agent.eksauth.EksAuthFailure;
import dev.podidentity.agent.eksauth.IssuedCredentials;
import dev.podidentity.agent.eksauth.PermanentFailure;
import dev.podidentity.agent.eksauth.TransientFailure;
import dev.podidentity.agent.loop.SourceRateLimit;
import dev.podidentity.agent.loop.TokenBucket;
import dev.podidentity.agent.loop.Timers;
import dev.podidentity.agent.loop.Timers.Timer;
import dev.podidentity.agent.observe.CacheOutcome;
import dev.podidentity.agent.observe.EvictionCause;
import dev.podidentity.agent.observe.Field;
import dev.podidentity.agent.observe.Limit;
import dev.podidentity.agent.observe.Metrics;
import dev.podidentity.agent.observe.RenewalResult;
import dev.podidentity.agent.observe.UpstreamOutcome;
import dev.podidentity.agent.token.LivingPods;
import dev.podidentity.agent.token.TokenFingerprint;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Executor;
import java.util.function.Consumer;
import java.util.function.DoubleSupplier;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.jboss.logging.Logger;

/**
 * Gives credentials to callers: from the cache, or by one call to EKS Auth for all who ask for one identity at a time.
 *
 * <p>A request is answered within the deadline, whatever EKS Auth does; the <em>flight</em> that it waits for goes on
 * without it. A flight makes one call, and more after pauses while the trouble is transient; all who wait get its end
 * in the same instant. Transient trouble never takes away credentials that are valid; a refusal does.
 *
 * <p>Pods that have proved one identity share its entry and its flights, and nothing that is wrong with one of them: a
 * token that EKS Auth refuses, or whose pod dies, is replaced by another pod's; a flight that waits for its turn waits
 * in the queue of each of them; and what is remembered of a refused token is remembered of that token alone.
 *
 * <p>Confined to the event loop: every method must be called on it, and every answer is given on it.
 */
public final class CredentialService {

    private static final Logger LOG = Logger.getLogger(CredentialService.class);
    private static final long NANOS_PER_MILLI = 1_000_000;
    /** A pod that makes up tokens must not fill the node's disk; a node with as many real failures is one cause. */
    private static final int WARNINGS_PER_SECOND = 5;
    private static final int WARNINGS_AT_ONCE = 100;
    /** Each made-up token is a new identity, so its refusal is no use to the next one; only the source tells them. */
    private static final int REFUSALS_PER_SECOND = 10;
    private static final int REFUSALS_AT_ONCE = 100;
    private static final TransientFailure POD_GONE = new TransientFailure(
            TransientFailure.Reason.UNAVAILABLE, "The pod whose token was to be used is gone: try again");
    private static final TransientFailure OTHERS_REFUSED = new TransientFailure(
            TransientFailure.Reason.UNAVAILABLE, "EKS Auth refused other tokens of this service account: try again");
    private static final TransientFailure WRONG_SUBJECT = new TransientFailure(
            TransientFailure.Reason.BAD_ANSWER,
            "The answer of EKS Auth cannot be used: it is for another service account than the token's");

    private final EksAuth eksAuth;
    private final CredentialCache cache;
    private final RenewalPolicy renewal;
    private final RetryPolicy retry;
    private final FailureMemory failures;
    private final FetchSlots slots;
    private final Duration deadline;
    private final LivingPods living;
    private final Metrics metrics;
    private final Clock clock;
    private final Timers timers;
    private final Executor loop;
    private final DoubleSupplier random;

    private final Map<Identity, Flight> flights = new HashMap<>();
    /** Flights that are over while their last call is still under way. */
    private final Set<Flight> late = new HashSet<>();
    private final SourceRateLimit refusals = new SourceRateLimit(REFUSALS_PER_SECOND, REFUSALS_AT_ONCE);
    private final TokenBucket warnings = new TokenBucket(WARNINGS_PER_SECOND, WARNINGS_AT_ONCE, System.nanoTime());
    /** Warnings that were left out since the last one. */
    private long unwarned;

    /**
     * @param settings what is configured
     * @param living says of which pods no token is used any more
     * @param clock tells the time that tokens and credentials expire by
     * @param timers runs what comes later, on the event loop
     * @param loop runs what must run on the event loop
     * @param random from 0 to 1, for jitter
     */
    public CredentialService(
            EksAuth eksAuth,
            CredentialSettings settings,
            LivingPods living,
            Metrics metrics,
            Clock clock,
            Timers timers,
            Executor loop,
            DoubleSupplier random) {
        this.eksAuth = eksAuth;
        this.cache = new CredentialCache(settings.cacheCapacity(), metrics);
        this.renewal = new RenewalPolicy(settings.retention());
        this.retry = new RetryPolicy(settings.flightTimeout());
        this.failures = new FailureMemory(retry);
        this.slots = new FetchSlots(settings.concurrentFetches());
        this.deadline = settings.requestDeadline();
        this.living = living;
        this.metrics = metrics;
        this.clock = clock;
        this.timers = timers;
        this.loop = loop;
        this.random = random;
    }

    /** A request that waits for its answer. */
    public interface Waiting {

        /** Says that nobody is there for the answer any more. What the request set going goes on. */
        void abandon();
    }

    /**
     * Answers a request, at once or later.
     *
     * @param caller what the request has shown
     * @param source the address it came from
     * @param waited how much of the time within which every request is answered is over
     * @param answer is called exactly once, unless the request is abandoned first
     */
    public Waiting request(Caller caller, String source, Duration waited, Consumer<Outcome> answer) {
        Identity identity = caller.identity();
        Instant now = clock.instant();
        CacheEntry entry = cache.use(caller);
        if (entry != null && entry.servable(now, renewal)) {
            return answered(answer, new Outcome.Served(entry.credentials(), CacheOutcome.HIT));
        }
        Optional<Credentials> old = Optional.ofNullable(entry)
                .map(CacheEntry::credentials)
                .filter(credentials -> credentials.validAt(now));
        EksAuthFailure recent = failures.current(identity, now);
        if (recent != null) {
            return answered(answer, staleOr(old, recent, CacheOutcome.REMEMBERED));
        }
        Flight flight = flights.get(identity);
        if (flight != null && flight.lateAt(now) && old.isPresent()) {
            return answered(answer, new Outcome.Served(old.get(), CacheOutcome.STALE));
        }
        if (flight != null) {
            return flight.join(new Waiter(flight, caller, CacheOutcome.COALESCED, old, waited, answer), source);
        }
        EksAuthFailure ofToken = failures.current(Identity.of(caller.token()), now);
        if (ofToken != null) {
            return answered(answer, staleOr(old, ofToken, CacheOutcome.REMEMBERED));
        }
        Optional<Limit> beyond = beyondLimits(caller, source);
        if (beyond.isPresent()) {
            metrics.limited(beyond.get());
            return answered(answer, staleOr(old, tooMany(), CacheOutcome.MISS));
        }
        Flight first = new Flight(caller, source);
        flights.put(identity, first);
        Waiting waiting = first.join(new Waiter(first, caller, CacheOutcome.MISS, old, waited, answer), source);
        first.begin();
        return waiting;
    }

    private static Outcome staleOr(Optional<Credentials> old, EksAuthFailure failure, CacheOutcome cache) {
        return old.<Outcome>map(credentials -> new Outcome.Served(credentials, CacheOutcome.STALE))
                .orElseGet(() -> new Outcome.Failed(failure, cache));
    }

    /**
     * Takes out of use all tokens of a pod that is gone, and the credentials that no other pod shares. Call it once the
     * {@link LivingPods} say so too.
     *
     * @param podUid the pod's UID
     */
    public void podGone(String podUid) {
        cache.podGone(podUid, living);
        Stream.concat(flights.values().stream(), late.stream()).forEach(flight -> flight.pods.remove(podUid));
    }

    private static Waiting answered(Consumer<Outcome> answer, Outcome outcome) {
        answer.accept(outcome);
        return () -> {};
    }

    private Optional<Limit> beyondLimits(Caller caller, String source) {
        if (refusals.exhausted(source, System.nanoTime())) {
            return Optional.of(Limit.REFUSALS);
        }
        return slots.admit(source, caller.token().raw().length()) ? Optional.empty() : Optional.of(Limit.FETCHES);
    }

    private static TransientFailure tooMany() {
        return new TransientFailure(TransientFailure.Reason.THROTTLED,
                "Too many calls to EKS Auth wait for this source address, or were refused to it: try again");
    }

    /** Whether an entry is to be renewed now: it is due, and no call for it is under way. */
    boolean due(CacheEntry entry, Instant now) {
        return entry.due(now, renewal, living) && !flights.containsKey(entry.identity());
    }

    /** Starts to renew an entry that is {@link #due}, in the background. */
    void renew(CacheEntry entry) {
        entry.renewable(clock.instant(), renewal, living).ifPresent(caller -> {
            Flight flight = new Flight(caller, null);
            flights.put(entry.identity(), flight);
            entry.renewalBegan();
            flight.begin();
        });
    }

    Collection<CacheEntry> entries() {
        return cache.entries();
    }

    void removeExpired(Instant now) {
        cache.removeExpired(now, living);
    }

    private boolean mayWarn() {
        boolean may = warnings.tryTake(System.nanoTime());
        if (!may) {
            unwarned++;
        }
        return may;
    }

    /** One or more calls for one identity, and all who wait for what comes of them. */
    private final class Flight {

        private final Identity identity;
        /** The address of the request that began it; null for a renewal, which takes no slot. */
        private final String source;
        private final int admittedBytes;
        private final Instant startedAt = clock.instant();
        private final Set<Waiter> waiters = new LinkedHashSet<>();
        /** The addresses of all who have asked: each has a queue, and the first turn is the flight's. */
        private final Set<String> sources = new LinkedHashSet<>();
        /** The pods that have asked, and the one whose token is used; without those that have died. */
        private final PodTokens pods = new PodTokens();
        /** The tokens that EKS Auth refused in this flight, and why. */
        private final Map<TokenFingerprint, PermanentFailure> refused = new HashMap<>();
        private final Runnable attempt = this::attempt;
        private final Timer budget;
        /** Whose token the calls are made with. */
        private Caller caller;
        private int attempts;
        private boolean queued;
        private boolean calling;
        private boolean over;
        private Optional<Timer> pause = Optional.empty();
        private Optional<EksAuthFailure> lastFailure = Optional.empty();

        Flight(Caller caller, String source) {
            this.identity = caller.identity();
            this.caller = caller;
            this.source = source;
            this.admittedBytes = caller.token().raw().length();
            this.pods.learn(caller);
            this.budget = timers.schedule(retry.flightTimeout(), () -> end(failureWithin(retry.flightTimeout())));
        }

        /** What those are told who waited for so long. */
        EksAuthFailure failureWithin(Duration time) {
            return lastFailure.orElseGet(() -> attempts == 0
                    ? new TransientFailure(TransientFailure.Reason.TIMED_OUT,
                            "Too many calls to EKS Auth are under way: try again, or raise --max-concurrent-fetches")
                    : new TransientFailure(TransientFailure.Reason.TIMED_OUT,
                            "EKS Auth has not answered within " + time.toMillis() + " ms: try again"));
        }

        boolean renewal() {
            return source == null;
        }

        /** Whether it has taken so long, or met trouble already, that it is not worth waiting for with old credentials. */
        boolean lateAt(Instant now) {
            return attempts > 1 || pause.isPresent() || !startedAt.plus(deadline).isAfter(now);
        }

        Waiting join(Waiter waiter, String from) {
            waiters.add(waiter);
            pods.learn(waiter.caller);
            metrics.waiting(1);
            // Whoever joins must not wait behind all else that the first source has asked for.
            if (sources.add(from) && queued) {
                slots.acquire(from, attempt);
            }
            return waiter;
        }

        /** Makes the next call as soon as there is a slot for it; a renewal needs none. */
        void begin() {
            pause = Optional.empty();
            if (renewal()) {
                attempt();
                return;
            }
            queued = true;
            for (String from : List.copyOf(sources)) {
                if (queued) {
                    slots.acquire(from, attempt);
                }
            }
        }

        private void attempt() {
            leaveQueues();
            if (!pods.has(caller.podUid()) || caller.gone(living)) {
                Optional<Caller> other = waiters.isEmpty() ? Optional.empty() : another();
                if (other.isEmpty()) {
                    endForNobody();
                    return;
                }
                use(other.get());
            }
            attempts++;
            calling = true;
            long began = System.nanoTime();
            metrics.calling(1);
            // Not thenAcceptAsync(): what went wrong in it would be known to nobody.
            eksAuth.assumeRole(caller.token()).thenAccept(given -> loop.execute(() -> {
                calling = false;
                late.remove(this);
                metrics.calling(-1);
                if (!renewal()) {
                    slots.release();
                }
                EksAuthAnswer answer = checked(given);
                report(answer, System.nanoTime() - began);
                land(answer);
            }));
        }

        private void leaveQueues() {
            boolean several = queued && sources.size() > 1;
            queued = false;
            if (several) {
                sources.forEach(from -> slots.withdraw(from, attempt));
            }
        }

        private void use(Caller other) {
            caller = other;
            pods.learn(other);
        }

        /** The freshest token of another pod that lives: of one that has asked, or else of one that shares the entry. */
        private Optional<Caller> another() {
            Instant now = clock.instant();
            Predicate<Caller> usable = other -> !refused.containsKey(other.token().fingerprint())
                    && other.token().expiresAt().isAfter(now)
                    && !other.gone(living);
            return pods.freshest(usable)
                    .or(() -> cache.find(identity).flatMap(entry -> entry.pods().freshest(usable)));
        }

        /** An answer for somebody else is none. */
        private EksAuthAnswer checked(EksAuthAnswer answer) {
            if (!(answer instanceof IssuedCredentials issued) || caller.namedBy(issued)) {
                return answer;
            }
            metrics.wrongSubject();
            if (mayWarn()) {
                LOG.errorf("EKS Auth answered for another service account than the token's",
                        Field.of("namespace", caller.token().claims().namespace()),
                        Field.of("serviceAccount", caller.token().claims().serviceAccount()),
                        Field.of("pod", caller.token().claims().pod()),
                        Field.of("answeredNamespace", issued.namespace()),
                        Field.of("answeredServiceAccount", issued.serviceAccount()),
                        Field.of("association", issued.associationId()),
                        Field.of("unlogged", unwarned));
                unwarned = 0;
            }
            return WRONG_SUBJECT;
        }

        private void report(EksAuthAnswer answer, long nanos) {
            if (answer instanceof IssuedCredentials issued) {
                metrics.called(UpstreamOutcome.SUCCESS, "none", nanos);
                LOG.infof("EKS Auth issued credentials",
                        Field.of("namespace", issued.namespace()),
                        Field.of("serviceAccount", issued.serviceAccount()),
                        Field.of("pod", caller.token().claims().pod()),
                        Field.of("role", issued.roleArn()),
                        Field.of("association", issued.associationId()),
                        Field.of("expiration", issued.expiration()),
                        Field.of("millis", nanos / NANOS_PER_MILLI),
                        Field.of("purpose", renewal() ? "renewal" : "request"));
            } else if (answer instanceof EksAuthFailure failure && !noCall(failure)) {
                metrics.called(
                        failure instanceof PermanentFailure ? UpstreamOutcome.REFUSED : UpstreamOutcome.FAILED,
                        failure.code(),
                        nanos);
                LOG.debugf("A call to EKS Auth failed",
                        Field.of("code", failure.code()),
                        Field.of("attempt", attempts),
                        Field.of("millis", nanos / NANOS_PER_MILLI));
            }
        }

        private static boolean noCall(EksAuthFailure failure) {
            return failure instanceof TransientFailure trouble && trouble.reason() == TransientFailure.Reason.NOT_READY;
        }

        private void land(EksAuthAnswer answer) {
            if (answer instanceof IssuedCredentials issued) {
                Credentials credentials = Credentials.of(issued, clock.instant());
                // Late ones too: this flight is over, but whoever tries again, or waits for the next, will be glad of them.
                Optional<Flight> next = Optional.ofNullable(flights.get(identity)).filter(flight -> flight != this);
                List<Caller> sharing = Stream.concat(Stream.of(this), next.stream())
                        .flatMap(Flight::living)
                        .toList();
                boolean wanted = !waiters.isEmpty() || !renewal();
                cache.store(identity, sharing, credentials, wanted, renewal, random.getAsDouble());
                failures.forget(identity);
                end(credentials);
                next.ifPresent(flight -> flight.end(credentials));
            } else if (answer instanceof EksAuthFailure failure) {
                if (over) {
                    return;
                }
                if (failure instanceof PermanentFailure refusal && refusal.ofToken()) {
                    refused(refusal);
                    return;
                }
                lastFailure = Optional.of(failure);
                // A renewal has one attempt, and the renewer's own pace; unless somebody waits for it by now.
                boolean again = failure instanceof TransientFailure && !(renewal() && waiters.isEmpty());
                Optional<Duration> next = again
                        ? retry.pauseAfter(attempts, Duration.between(startedAt, clock.instant()), random.getAsDouble())
                        : Optional.empty();
                if (next.isPresent()) {
                    pause = Optional.of(timers.schedule(next.get(), this::begin));
                    serveOld(failure);
                } else {
                    end(failure);
                }
            }
        }

        private Stream<Caller> living() {
            return pods.all().stream().filter(
                    pod -> !refused.containsKey(pod.token().fingerprint()) && !pod.gone(living));
        }

        /** Goes on with another pod's token where there is one: a refused token says nothing about those. */
        private void refused(PermanentFailure refusal) {
            refused.put(caller.token().fingerprint(), refusal);
            cache.refused(caller);
            if (failures.remember(Identity.of(caller.token()), refusal, clock.instant(), random.getAsDouble())) {
                warn(refusal);
            }
            Optional<Caller> other = retry.attemptsLeft(attempts) ? another() : Optional.empty();
            if (other.isPresent()) {
                // Nobody else is to be told what was wrong with this one.
                lastFailure = Optional.empty();
                use(other.get());
                begin();
            } else {
                endRefused(refusal);
            }
        }

        /** Whoever has valid credentials to fall back on gains nothing by waiting for a call that has failed once. */
        private void serveOld(EksAuthFailure failure) {
            waiters().stream()
                    .filter(waiter -> waiter.old.isPresent())
                    .forEach(waiter -> loop.execute(() -> waiter.end(failure)));
        }

        private void end(Credentials credentials) {
            if (close()) {
                if (renewal()) {
                    metrics.renewed(RenewalResult.SUCCESS, "");
                }
                waiters().forEach(waiter -> loop.execute(() -> waiter.end(credentials)));
            }
        }

        /** All who wait; each is answered in a task of its own, so that one that cannot be does not harm the others. */
        private List<Waiter> waiters() {
            return List.copyOf(waiters);
        }

        private void end(EksAuthFailure failure) {
            if (!close()) {
                return;
            }
            if (failure instanceof PermanentFailure) {
                cache.remove(identity, EvictionCause.REFUSED);
                chargeRefusal();
            }
            countRenewal(failure);
            if (failures.remember(identity, failure, clock.instant(), random.getAsDouble())) {
                warn(failure);
            }
            postponeRenewal();
            waiters().forEach(waiter -> loop.execute(() -> waiter.end(failure)));
        }

        /** Ends it when all tokens that could be used were refused. Each waiter is told of its own. */
        private void endRefused(PermanentFailure last) {
            if (!close()) {
                return;
            }
            chargeRefusal();
            countRenewal(last);
            postponeRenewal();
            waiters().forEach(waiter -> {
                EksAuthFailure own = refused.get(waiter.caller.token().fingerprint());
                loop.execute(() -> waiter.end(own == null ? OTHERS_REFUSED : own));
            });
        }

        /** Ends it without a call, as its pods are gone, and in a task of its own, as a slot may begin one call after another. */
        private void endForNobody() {
            loop.execute(() -> {
                if (!renewal()) {
                    slots.release();
                }
                if (close()) {
                    countRenewal(POD_GONE);
                    postponeRenewal();
                    waiters().forEach(waiter -> loop.execute(() -> waiter.end(POD_GONE)));
                }
            });
        }

        private void chargeRefusal() {
            if (!renewal()) {
                refusals.allows(source, System.nanoTime());
            }
        }

        private void countRenewal(EksAuthFailure failure) {
            if (renewal()) {
                boolean forGood = failure instanceof PermanentFailure && cache.find(identity).isEmpty();
                metrics.renewed(forGood ? RenewalResult.REFUSED : RenewalResult.FAILED, failure.code());
            }
        }

        private void postponeRenewal() {
            if (renewal()) {
                cache.find(identity).ifPresent(
                        entry -> entry.renewalFailed(clock.instant(), renewal, random.getAsDouble()));
            }
        }

        private void warn(EksAuthFailure failure) {
            if (!mayWarn()) {
                return;
            }
            LOG.warnf("No credentials from EKS Auth",
                    Field.of("code", failure.code()),
                    Field.of("remedy", failure.message()),
                    // Claims, and facts only if the token was verified.
                    Field.of("namespace", caller.token().claims().namespace()),
                    Field.of("serviceAccount", caller.token().claims().serviceAccount()),
                    Field.of("pod", caller.token().claims().pod()),
                    Field.of("token", caller.token().fingerprint()),
                    Field.of("attempts", attempts),
                    Field.of("purpose", renewal() ? "renewal" : "request"),
                    Field.of("unlogged", unwarned));
            unwarned = 0;
        }

        private boolean close() {
            if (over) {
                return false;
            }
            over = true;
            budget.cancel();
            pause.ifPresent(Timer::cancel);
            flights.remove(identity);
            if (calling) {
                late.add(this);
            }
            if (!renewal()) {
                if (queued) {
                    sources.forEach(from -> slots.withdraw(from, attempt));
                }
                slots.leave(source, admittedBytes);
            }
            return true;
        }
    }

    /** One request that waits. */
    private final class Waiter implements Waiting {

        private final Flight flight;
        private final Caller caller;
        private final CacheOutcome cacheOutcome;
        /** Credentials that are valid, though not fresh. */
        private final Optional<Credentials> old;
        private final Consumer<Outcome> answer;
        private final Timer timer;

        Waiter(
                Flight flight,
                Caller caller,
                CacheOutcome cacheOutcome,
                Optional<Credentials> old,
                Duration waited,
                Consumer<Outcome> answer) {
            this.flight = flight;
            this.caller = caller;
            this.cacheOutcome = cacheOutcome;
            this.old = old;
            this.answer = answer;
            this.timer = timers.schedule(deadline.minus(waited), () -> end(flight.failureWithin(deadline)));
        }

        @Override
        public void abandon() {
            leave();
        }

        void end(Credentials credentials) {
            if (leave()) {
                answer.accept(new Outcome.Served(credentials, cacheOutcome));
            }
        }

        void end(EksAuthFailure failure) {
            if (leave()) {
                Instant now = clock.instant();
                answer.accept(old.filter(credentials -> failure instanceof TransientFailure && credentials.validAt(now))
                        .<Outcome>map(credentials -> new Outcome.Served(credentials, CacheOutcome.STALE))
                        .orElseGet(() -> new Outcome.Failed(failure, cacheOutcome)));
            }
        }

        private boolean leave() {
            timer.cancel();
            if (!flight.waiters.remove(this)) {
                return false;
            }
            metrics.waiting(-1);
            return true;
        }
    }
}
