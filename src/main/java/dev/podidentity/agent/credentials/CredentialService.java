package dev.podidentity.agent.credentials;

import dev.podidentity.agent.eksauth.EksAuth;
import dev.podidentity.agent.eksauth.EksAuthFailure;
import dev.podidentity.agent.eksauth.IssuedCredentials;
import dev.podidentity.agent.eksauth.PermanentFailure;
import dev.podidentity.agent.eksauth.TransientFailure;
import dev.podidentity.agent.loop.Loop;
import dev.podidentity.agent.loop.SingleFlight;
import dev.podidentity.agent.observe.CacheOutcome;
import dev.podidentity.agent.observe.EvictionCause;
import dev.podidentity.agent.observe.Limit;
import dev.podidentity.agent.observe.LimitReport;
import dev.podidentity.agent.observe.Metrics;
import dev.podidentity.agent.observe.RenewalResult;
import dev.podidentity.agent.verification.LivingPods;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.DoubleSupplier;
import java.util.function.LongSupplier;
import java.util.function.Predicate;

/**
 * Decides what a caller gets: cached credentials, a remembered refusal, or the result of a {@link Flight} that it joins or
 * starts.
 *
 * <p>A request gets a response within its deadline, whatever EKS Auth does; its flight continues without it. After a
 * failure, a request waits for the next call, because an SDK that gets the error immediately uses up its retries. All
 * waiting requests get the result at the same time. Transient failures never remove valid credentials; a refusal does.
 *
 * <p>Pods with the same proven identity share its entry and flights, but not each other's problems: a token that EKS Auth
 * has refused finds nothing that the others share, and is never used again.
 *
 * <p>Confined to the event loop: every method must be called on it, and every callback runs on it.
 */
public final class CredentialService {

    private static final Waiting ANSWERED = () -> {};

    private final CredentialCache cache;
    private final RenewalPolicy renewal;
    private final FailureMemory failures;
    private final RefusedTokens refusedTokens = new RefusedTokens();
    private final FetchQueue queue;
    private final SingleFlight<Identity, Flight> flights = new SingleFlight<>();
    private final Flight.Means means;
    private final Keeper keeper = new Keeper();
    private final LivingPods living;
    private final Metrics metrics;
    private final LimitReport limits;
    private final CredentialLog log;
    private final Clock clock;
    private final LongSupplier nanos;
    private final DoubleSupplier random;
    private final boolean renews;

    /**
     * @param settings the configuration
     * @param living which pods' tokens must no longer be used
     * @param limits receives rejections
     * @param clock the clock for the expiry of tokens and credentials
     * @param nanos a monotonic clock for durations
     * @param loop the event loop to which this is confined
     * @param random from 0 to 1, for jitter
     */
    public CredentialService(
            EksAuth eksAuth,
            CredentialSettings settings,
            LivingPods living,
            Metrics metrics,
            LimitReport limits,
            Clock clock,
            LongSupplier nanos,
            Loop loop,
            DoubleSupplier random) {
        RetryPolicy retry = new RetryPolicy(settings.flightTimeout());
        TokenIndex index = new TokenIndex(Double.doubleToLongBits(random.getAsDouble()));
        this.cache = new CredentialCache(settings.cacheCapacity(), index, metrics);
        this.renewal = new RenewalPolicy(settings.retention());
        this.failures = new FailureMemory(retry);
        this.log = new CredentialLog(metrics, nanos);
        this.queue = new FetchQueue(settings.concurrentFetches(), metrics, log, nanos, loop);
        this.living = living;
        this.metrics = metrics;
        this.limits = limits;
        this.clock = clock;
        this.nanos = nanos;
        this.random = random;
        this.renews = settings.renewalsPerSecond() > 0;
        this.means = new Flight.Means(
                eksAuth, queue, retry, refusedTokens, living, metrics, limits, log, clock, nanos, loop, random);
    }

    /** A request that waits for its result. */
    public interface Waiting {

        /** The client has gone. What the request started continues. */
        void abandon();
    }

    /**
     * Handles a request, now or later.
     *
     * @param caller the proven identity
     * @param source the client's address
     * @param deadline the time within which it needs a result
     * @param waited how much of this time has passed
     * @param answer called exactly once, unless the request is abandoned first
     */
    public Waiting request(Caller caller, String source, Duration deadline, Duration waited, Consumer<Outcome> answer) {
        // First, because a token that EKS Auth does not accept must not get what others share.
        Optional<PermanentFailure> refusedToken = refusal(caller);
        if (refusedToken.isPresent()) {
            return answered(answer, new Outcome.Failed(refusedToken.get(), CacheOutcome.REMEMBERED));
        }
        Instant now = clock.instant();
        long nanosNow = nanos.getAsLong();
        CacheEntry entry = cache.use(caller);
        if (entry != null && entry.servable(now, nanosNow, renewal)) {
            return answered(answer, hit(entry));
        }
        Optional<PermanentFailure> refusal = failures.refusal(caller.identity(), nanosNow);
        if (refusal.isPresent()) {
            return answered(answer, new Outcome.Failed(refusal.get(), CacheOutcome.REMEMBERED));
        }
        if (entry == null && caller.identity() instanceof Identity.VerifiedWorkload) {
            // What EKS Auth issued for this exact token while it could not be verified.
            entry = cache.use(caller.alone());
            if (entry != null && entry.servable(now, nanosNow, renewal)) {
                return answered(answer, hit(entry));
            }
        }
        Optional<Credentials> old = Optional.ofNullable(entry)
                .map(CacheEntry::credentials)
                .filter(credentials -> credentials.validAt(now, nanosNow));
        Flight underWay = flights.find(caller.identity());
        if (underWay != null) {
            return join(underWay, caller, source, CacheOutcome.COALESCED, old, deadline, waited, answer);
        }
        Optional<Limit> beyond = queue.admit(source, caller.token().length());
        if (beyond.isPresent()) {
            limits.rejected(beyond.get(), source);
            return answered(answer, staleOr(old, FetchQueue.tooMany(), CacheOutcome.MISS));
        }
        Flight first = new Flight(
                caller, Optional.of(source), failures.trouble(caller.identity(), nanosNow), means, keeper);
        flights.begin(caller.identity(), first);
        Waiting waiting = join(first, caller, source, CacheOutcome.MISS, old, deadline, waited, answer);
        first.begin();
        return waiting;
    }

    /** Returns the caller that has presented the token with these characters and has cached credentials, or null. */
    Caller find(byte[] characters, int from, int to) {
        return cache.find(characters, from, to);
    }

    /**
     * Returns the credentials that {@link #request} would serve immediately as a cache hit, or null. A hit counts as a use.
     *
     * @param caller the proven identity
     */
    Credentials hit(Caller caller, Instant now) {
        if (refusedTokens.contains(caller.token())) {
            return null;
        }
        CacheEntry entry = cache.use(caller);
        if (entry == null || !entry.servable(now, nanos.getAsLong(), renewal)) {
            return null;
        }
        entry.hit();
        return entry.credentials();
    }

    private static Outcome hit(CacheEntry entry) {
        entry.hit();
        return new Outcome.Served(entry.credentials(), CacheOutcome.HIT);
    }

    private Waiting join(
            Flight flight,
            Caller caller,
            String source,
            CacheOutcome outcome,
            Optional<Credentials> old,
            Duration deadline,
            Duration waited,
            Consumer<Outcome> answer) {
        if (old.isPresent() && flight.late(deadline)) {
            return answered(answer, new Outcome.Served(old.get(), CacheOutcome.STALE));
        }
        metrics.waiting(1);
        Waiter waiter = new Waiter(
                flight.known(caller), source, outcome, old, this::gone, this::refusal, this::valid, given -> {
                    metrics.waiting(-1);
                    answer.accept(given);
                });
        Flight.Waiting place = flight.join(waiter, deadline.minus(waited), deadline);
        return () -> {
            if (place.abandon()) {
                metrics.waiting(-1);
            }
        };
    }

    private boolean gone(Caller caller) {
        return caller.gone(living);
    }

    private Optional<PermanentFailure> refusal(Caller caller) {
        return refusedTokens.refusal(caller.token());
    }

    private boolean valid(Credentials credentials) {
        return credentials.validAt(clock.instant(), nanos.getAsLong());
    }

    private static Waiting answered(Consumer<Outcome> answer, Outcome outcome) {
        answer.accept(outcome);
        return ANSWERED;
    }

    /** Valid credentials are better than a transient failure. A refusal has already removed them. */
    private static Outcome staleOr(Optional<Credentials> old, EksAuthFailure failure, CacheOutcome cache) {
        return old.<Outcome>map(credentials -> new Outcome.Served(credentials, CacheOutcome.STALE))
                .orElseGet(() -> new Outcome.Failed(failure, cache));
    }

    /**
     * Stops using all tokens of a deleted pod, drops the credentials that no other pod shares, and rejects its waiting
     * requests. Call this when {@link LivingPods} reports the deletion too.
     *
     * @param podUid the pod's UID
     */
    public void podGone(String podUid) {
        cache.podGone(podUid, living);
        List.copyOf(flights.all()).forEach(flight -> flight.podGone(podUid));
    }

    /** Returns whether an entry must be renewed now: it is due, and no call for it is in progress. */
    boolean due(CacheEntry entry, Instant now) {
        return entry.due(now, nanos.getAsLong(), renewal, living) && flights.find(entry.identity()) == null;
    }

    /** Returns whether EKS Auth may be called for a renewal now. */
    boolean allowsRenewal() {
        return queue.allowsRenewal();
    }

    /** Starts to renew a {@link #due} entry in the background. */
    void renew(CacheEntry entry) {
        entry.renewable(clock.instant(), renewal, living).ifPresent(caller -> {
            // The renewer has paused.
            Flight flight = new Flight(caller, Optional.empty(), Optional.empty(), means, keeper);
            flights.begin(entry.identity(), flight);
            entry.renewalBegan();
            flight.begin();
        });
    }

    /** Returns how long the renewal of an entry has been due. */
    Duration overdue(CacheEntry entry, Instant now) {
        return entry.overdue(now, nanos.getAsLong(), renewal, living);
    }

    /**
     * Returns a part of the cache in the order of creation. Marks nothing as used.
     *
     * @param number the last number of the previous part; 0 for the first part
     * @param most the maximum number
     */
    public List<CachedIdentity.Numbered> look(long number, int most) {
        Instant now = clock.instant();
        long nanosNow = nanos.getAsLong();
        return cache.after(number, most).stream()
                .map(entry -> new CachedIdentity.Numbered(entry.number(), entry.shown(
                        renews ? entry.nextRenewal(now, nanosNow, renewal, living) : Optional.empty())))
                .toList();
    }

    Collection<CacheEntry> entries() {
        return cache.entries();
    }

    void removeExpired(Instant now) {
        cache.removeExpired(now, nanos.getAsLong(), living);
    }

    /** Stores the results of flights. */
    private final class Keeper implements Flight.Keeper {

        @Override
        public void issued(Flight flight, IssuedCredentials issued) {
            long now = nanos.getAsLong();
            Credentials credentials = Credentials.of(issued, clock.instant(), now);
            // Stored even if it arrives after the flight's end, for retries and for waiters of the next flight.
            Flight current = flights.find(flight.identity());
            List<Caller> sharing = new ArrayList<>(flight.living());
            if (current != null && current != flight) {
                sharing.addAll(current.living());
            }
            boolean wanted = !flight.deserted() || !flight.renewal();
            cache.store(flight.identity(), sharing, credentials, wanted, renewal, random.getAsDouble());
            failures.forget(flight.identity());
            if (flight.renewal() && !flight.over()) {
                metrics.renewed(RenewalResult.SUCCESS, "");
            }
            flight.succeed(credentials);
            if (current != null && current != flight) {
                current.succeed(credentials);
            }
        }

        @Override
        public void tokenRefused(Flight flight, Caller caller, PermanentFailure refusal) {
            if (refusedTokens.add(caller.token(), refusal)) {
                log.failed(flight, refusal);
            }
            cache.refused(caller);
        }

        @Override
        public void identityRefused(Flight flight, PermanentFailure refusal) {
            cache.remove(flight.identity(), EvictionCause.REFUSED);
            long now = nanos.getAsLong();
            if (failures.refused(flight.identity(), refusal, now, random.getAsDouble())) {
                log.failed(flight, refusal);
            }
        }

        @Override
        public Duration failed(Flight flight, TransientFailure failure) {
            cache.find(flight.identity()).ifPresent(entry -> entry.failed(clock.instant(), failure));
            FailureMemory.Remark remark = failures.failed(
                    flight.identity(), failure, nanos.getAsLong(), queue.outage(), random.getAsDouble());
            if (remark.worthALine()) {
                log.failed(flight, failure);
            }
            return remark.pause();
        }

        @Override
        public void endedWithout(Flight flight, EksAuthFailure failure) {
            if (failure instanceof TransientFailure && failures.endWorthALine(flight.identity(), nanos.getAsLong())) {
                log.failed(flight, failure);
            }
            renewalFailed(flight, failure);
        }

        private void renewalFailed(Flight flight, EksAuthFailure failure) {
            if (!flight.renewal()) {
                return;
            }
            Optional<CacheEntry> entry = cache.find(flight.identity());
            boolean forGood = failure instanceof PermanentFailure && entry.isEmpty();
            metrics.renewed(forGood ? RenewalResult.REFUSED : RenewalResult.FAILED, failure.code());
            entry.ifPresent(kept -> {
                kept.failed(clock.instant(), failure);
                kept.renewalFailed(clock.instant(), nanos.getAsLong(), renewal, random.getAsDouble());
            });
        }

        @Override
        public Optional<Caller> sharing(Identity identity, Predicate<Caller> usable) {
            return cache.find(identity).flatMap(entry -> entry.pods().freshest(usable));
        }
    }
}
