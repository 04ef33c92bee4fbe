package dev.podidentity.agent.credentials;

import dev.podidentity.agent.eksauth.EksAuth;
import dev.podidentity.agent.eksauth.EksAuthAnswer;
import dev.podidentity.agent.eksauth.EksAuthFailure;
import dev.podidentity.agent.eksauth.IssuedCredentials;
import dev.podidentity.agent.eksauth.PermanentFailure;
import dev.podidentity.agent.eksauth.TransientFailure;
import dev.podidentity.agent.limits.SourceRateLimit;
import dev.podidentity.agent.limits.TokenBucket;
import dev.podidentity.agent.loop.Timers;
import dev.podidentity.agent.loop.Timers.Timer;
import dev.podidentity.agent.observe.CacheOutcome;
import dev.podidentity.agent.observe.EvictionCause;
import dev.podidentity.agent.observe.Field;
import dev.podidentity.agent.observe.Limit;
import dev.podidentity.agent.observe.Metrics;
import dev.podidentity.agent.observe.RenewalResult;
import dev.podidentity.agent.observe.UpstreamOutcome;
import dev.podidentity.agent.token.ServiceAccountToken;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Executor;
import java.util.function.Consumer;
import java.util.function.DoubleSupplier;
import org.jboss.logging.Logger;

/**
 * Gives credentials for tokens: from the cache, or by one call to EKS Auth for all who ask for one identity at a time.
 *
 * <p>A request is answered within the deadline, whatever EKS Auth does; the <em>flight</em> that it waits for goes on
 * without it. A flight makes one call, and more after pauses while the trouble is transient; all who wait get its end
 * in the same instant. Transient trouble never takes away credentials that are valid; a refusal does.
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

    private final EksAuth eksAuth;
    private final CredentialCache cache;
    private final RenewalPolicy renewal;
    private final RetryPolicy retry;
    private final FailureMemory failures;
    private final FetchSlots slots;
    private final Duration deadline;
    private final Metrics metrics;
    private final Clock clock;
    private final Timers timers;
    private final Executor loop;
    private final DoubleSupplier random;

    private final Map<Identity, Flight> flights = new HashMap<>();
    private final SourceRateLimit refusals = new SourceRateLimit(REFUSALS_PER_SECOND, REFUSALS_AT_ONCE);
    private final TokenBucket warnings = new TokenBucket(WARNINGS_PER_SECOND, WARNINGS_AT_ONCE, System.nanoTime());
    /** Warnings that were left out since the last one. */
    private long unwarned;

    /**
     * @param settings what is configured
     * @param clock tells the time that tokens and credentials expire by
     * @param timers runs what comes later, on the event loop
     * @param loop runs what must run on the event loop
     * @param random from 0 to 1, for jitter
     */
    public CredentialService(
            EksAuth eksAuth,
            CredentialSettings settings,
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
     * @param token of the request
     * @param source the address it came from
     * @param answer is called exactly once, unless the request is abandoned first
     */
    public Waiting request(ServiceAccountToken token, String source, Consumer<Outcome> answer) {
        Identity identity = Identity.of(token);
        Instant now = clock.instant();
        CacheEntry entry = cache.use(identity);
        if (entry != null && entry.servable(now, renewal)) {
            return answered(answer, new Outcome.Served(entry.credentials(), CacheOutcome.HIT));
        }
        Optional<Credentials> old = Optional.ofNullable(entry)
                .map(CacheEntry::credentials)
                .filter(credentials -> credentials.validAt(now));
        EksAuthFailure recent = failures.current(identity, now);
        if (recent != null) {
            return answered(answer, old.<Outcome>map(credentials -> new Outcome.Served(credentials, CacheOutcome.STALE))
                    .orElseGet(() -> new Outcome.Failed(recent, CacheOutcome.REMEMBERED)));
        }
        Flight flight = flights.get(identity);
        if (flight != null && flight.lateAt(now) && old.isPresent()) {
            return answered(answer, new Outcome.Served(old.get(), CacheOutcome.STALE));
        }
        if (flight != null) {
            return flight.join(new Waiter(flight, CacheOutcome.COALESCED, old, answer));
        }
        Optional<Limit> beyond = beyondLimits(token, source);
        if (beyond.isPresent()) {
            metrics.limited(beyond.get());
            return answered(answer, old.<Outcome>map(credentials -> new Outcome.Served(credentials, CacheOutcome.STALE))
                    .orElseGet(() -> new Outcome.Failed(tooMany(), CacheOutcome.MISS)));
        }
        Flight first = new Flight(identity, token, source);
        flights.put(identity, first);
        Waiting waiting = first.join(new Waiter(first, CacheOutcome.MISS, old, answer));
        slots.acquire(source, first.attempt);
        return waiting;
    }

    private static Waiting answered(Consumer<Outcome> answer, Outcome outcome) {
        answer.accept(outcome);
        return () -> {};
    }

    private Optional<Limit> beyondLimits(ServiceAccountToken token, String source) {
        if (refusals.exhausted(source, System.nanoTime())) {
            return Optional.of(Limit.REFUSALS);
        }
        return slots.admit(source, token.raw().length()) ? Optional.empty() : Optional.of(Limit.FETCHES);
    }

    private static TransientFailure tooMany() {
        return new TransientFailure(TransientFailure.Reason.THROTTLED,
                "Too many calls to EKS Auth wait for this source address, or were refused to it: try again");
    }

    /** Starts to renew an entry, in the background. Does nothing while a call for it is under way. */
    void renew(CacheEntry entry) {
        if (!flights.containsKey(entry.identity())) {
            Flight flight = new Flight(entry.identity(), entry.token(), null);
            flights.put(entry.identity(), flight);
            entry.renewalBegan();
            flight.attempt.run();
        }
    }

    boolean underWay(CacheEntry entry) {
        return flights.containsKey(entry.identity());
    }

    Collection<CacheEntry> entries() {
        return cache.entries();
    }

    void removeExpired(Instant now) {
        cache.removeExpired(now);
    }

    RenewalPolicy renewalPolicy() {
        return renewal;
    }

    /** One or more calls for one identity, and all who wait for what comes of them. */
    private final class Flight {

        private final Identity identity;
        private final ServiceAccountToken token;
        /** The address of the request that began it; null for a renewal, which takes no slot. */
        private final String source;
        private final Instant startedAt = clock.instant();
        private final Set<Waiter> waiters = new LinkedHashSet<>();
        private final Runnable attempt = this::attempt;
        private final Timer budget;
        private int attempts;
        private boolean calling;
        private boolean over;
        private Optional<Timer> pause = Optional.empty();
        private Optional<EksAuthFailure> lastFailure = Optional.empty();

        Flight(Identity identity, ServiceAccountToken token, String source) {
            this.identity = identity;
            this.token = token;
            this.source = source;
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

        Waiting join(Waiter waiter) {
            waiters.add(waiter);
            metrics.waiting(1);
            return waiter;
        }

        private void attempt() {
            pause = Optional.empty();
            attempts++;
            calling = true;
            long began = System.nanoTime();
            metrics.calling(1);
            // Not thenAcceptAsync(): what went wrong in it would be known to nobody.
            eksAuth.assumeRole(token).thenAccept(answer -> loop.execute(() -> {
                calling = false;
                metrics.calling(-1);
                if (!renewal()) {
                    slots.release();
                }
                report(answer, System.nanoTime() - began);
                land(answer);
            }));
        }

        private void report(EksAuthAnswer answer, long nanos) {
            if (answer instanceof IssuedCredentials issued) {
                metrics.called(UpstreamOutcome.SUCCESS, "none", nanos);
                LOG.infof("EKS Auth issued credentials",
                        Field.of("namespace", issued.namespace()),
                        Field.of("serviceAccount", issued.serviceAccount()),
                        Field.of("pod", token.claims().pod()),
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
                cache.store(identity, token, credentials, !waiters.isEmpty() || !renewal(), renewal, random.getAsDouble());
                failures.forget(identity);
                end(credentials);
                Optional.ofNullable(flights.get(identity)).ifPresent(next -> next.end(credentials));
            } else if (answer instanceof EksAuthFailure failure) {
                lastFailure = Optional.of(failure);
                if (over) {
                    return;
                }
                // A renewal has one attempt, and the renewer's own pace; unless somebody waits for it by now.
                boolean again = failure instanceof TransientFailure && !(renewal() && waiters.isEmpty());
                Optional<Duration> next = again
                        ? retry.pauseAfter(attempts, Duration.between(startedAt, clock.instant()), random.getAsDouble())
                        : Optional.empty();
                if (next.isPresent()) {
                    pause = Optional.of(timers.schedule(next.get(), this::resume));
                    serveOld(failure);
                } else {
                    end(failure);
                }
            }
        }

        private void resume() {
            if (renewal()) {
                attempt.run();
            } else {
                slots.acquire(source, attempt);
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
            Instant now = clock.instant();
            boolean refused = failure instanceof PermanentFailure;
            if (refused) {
                cache.remove(identity, EvictionCause.REFUSED);
                if (!renewal()) {
                    refusals.allows(source, System.nanoTime());
                }
            }
            if (renewal()) {
                metrics.renewed(refused ? RenewalResult.REFUSED : RenewalResult.FAILED, failure.code());
            }
            if (failures.remember(identity, failure, now, random.getAsDouble())) {
                warn(failure);
            }
            if (renewal()) {
                cache.find(identity).ifPresent(entry -> entry.renewalFailed(now, renewal, random.getAsDouble()));
            }
            waiters().forEach(waiter -> loop.execute(() -> waiter.end(failure)));
        }

        private void warn(EksAuthFailure failure) {
            if (!warnings.tryTake(System.nanoTime())) {
                unwarned++;
                return;
            }
            LOG.warnf("No credentials from EKS Auth",
                    Field.of("code", failure.code()),
                    Field.of("remedy", failure.message()),
                    // Claims, not facts: the token has not been verified.
                    Field.of("namespace", token.claims().namespace()),
                    Field.of("serviceAccount", token.claims().serviceAccount()),
                    Field.of("pod", token.claims().pod()),
                    Field.of("token", token.fingerprint()),
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
            if (!renewal()) {
                if (!calling) {
                    slots.withdraw(source, attempt);
                }
                slots.leave(source, token.raw().length());
            }
            return true;
        }
    }

    /** One request that waits. */
    private final class Waiter implements Waiting {

        private final Flight flight;
        private final CacheOutcome cacheOutcome;
        /** Credentials that are valid, though not fresh. */
        private final Optional<Credentials> old;
        private final Consumer<Outcome> answer;
        private final Timer timer;

        Waiter(Flight flight, CacheOutcome cacheOutcome, Optional<Credentials> old, Consumer<Outcome> answer) {
            this.flight = flight;
            this.cacheOutcome = cacheOutcome;
            this.old = old;
            this.answer = answer;
            this.timer = timers.schedule(deadline, () -> end(flight.failureWithin(deadline)));
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
