package dev.podidentity.agent.token;

import dev.podidentity.agent.loop.BoundedMap;
import dev.podidentity.agent.loop.SourceRateLimit;
import dev.podidentity.agent.loop.TokenBucket;
import dev.podidentity.agent.loop.Timers;
import dev.podidentity.agent.observe.Field;
import dev.podidentity.agent.token.NotVerified.Reason;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Executor;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import org.jboss.logging.Logger;

/**
 * Lets the API server verify tokens: it is asked once for a token at a time, its word is remembered for some minutes,
 * and while it is away the last good word stays good until the token expires. How often it is asked is limited, as a
 * pod could make up any number of tokens; beyond the limit EKS Auth is to judge.
 *
 * <p>Confined to the event loop.
 */
public final class ReviewVerifier implements TokenVerifier {

    private static final Logger LOG = Logger.getLogger(ReviewVerifier.class);
    /** A pod that is deleted is found out within this, if nothing watches the pods. */
    private static final Duration GOOD_FOR = Duration.ofMinutes(5);
    /** A pod's SDK tries again within seconds; a token that was refused seldom becomes good. */
    private static final Duration BAD_FOR = Duration.ofSeconds(10);
    private static final int MOST_BAD = 256;
    /** EKS allows a node 250 pods: all of them at once, started or rotated. Thousands of nodes can afford the rate. */
    private static final int PER_SECOND = 20;
    private static final int BURST = 250;
    /** What the client of the API server has connections for. */
    private static final int MOST_UNDER_WAY = 8;
    /** Each made-up token is a new one; only the source tells that they are the same pod's. */
    private static final int REFUSALS_PER_SECOND = 1;
    private static final int REFUSALS_AT_ONCE = 20;
    /** No more than a few calls a second find out that the API server still does not answer. */
    private static final Duration PAUSE = Duration.ofSeconds(1);
    /** Somebody has to grant the permission first. */
    private static final Duration FORBIDDEN_PAUSE = Duration.ofMinutes(10);

    private final TokenReviewer reviewer;
    private final Clock clock;
    private final LongSupplier nanos;
    private final Timers timers;
    private final Executor loop;

    private final BoundedMap<TokenFingerprint, Reviewed> genuine;
    private final BoundedMap<TokenFingerprint, Reviewed> bad = new BoundedMap<>(MOST_BAD);
    private final Map<TokenFingerprint, Flight> flights = new HashMap<>();
    private final WaitingTokens<Flight> waiting = new WaitingTokens<>();
    private final TokenBucket permits;
    private final SourceRateLimit refusals = new SourceRateLimit(REFUSALS_PER_SECOND, REFUSALS_AT_ONCE);
    private int underWay;
    /** Why the API server is not asked, and until when. */
    private Optional<Pause> pause = Optional.empty();
    /** Since it last answered. */
    private Optional<Reason> warnedOf = Optional.empty();

    /**
     * @param reviewer asks the API server
     * @param memory how many genuine tokens to remember; each takes about 1 KiB
     * @param clock tells the time that tokens expire by
     * @param nanos of a monotonic clock
     * @param timers runs what comes later, on the event loop
     * @param loop runs what must run on the event loop
     */
    public ReviewVerifier(
            TokenReviewer reviewer, int memory, Clock clock, LongSupplier nanos, Timers timers, Executor loop) {
        this.reviewer = reviewer;
        this.genuine = new BoundedMap<>(memory);
        this.clock = clock;
        this.nanos = nanos;
        this.timers = timers;
        this.loop = loop;
        this.permits = new TokenBucket(PER_SECOND, BURST, nanos.getAsLong());
    }

    private record Reviewed(Verification verdict, long askAgainAt) {}

    private record Pause(Reason reason, long until) {}

    @Override
    public void verify(ServiceAccountToken token, String source, Consumer<Verification> verdict) {
        Instant now = clock.instant();
        Optional<Reviewed> reviewed = Optional.ofNullable(genuine.get(token.fingerprint()))
                .filter(good -> token.expiresAt().isAfter(now))
                .or(() -> Optional.ofNullable(bad.get(token.fingerprint())));
        Optional<Verification> recent = reviewed
                .filter(known -> nanos.getAsLong() - known.askAgainAt() < 0)
                .map(Reviewed::verdict);
        if (recent.isPresent()) {
            verdict.accept(recent.get());
            return;
        }
        Flight flight = flights.get(token.fingerprint());
        if (flight != null && flight.late()) {
            verdict.accept(lastGood(token, Reason.API_SERVER));
            return;
        }
        if (flight == null) {
            Optional<Reason> without = whyNotAsk(token, source);
            if (without.isPresent()) {
                verdict.accept(lastGood(token, without.get()));
                return;
            }
            flight = new Flight(token, source);
            flights.put(token.fingerprint(), flight);
            flight.join(verdict);
            waiting.queue(source, flight);
            askNext();
        } else {
            flight.join(verdict);
        }
    }

    /** What can be said of a token without asking. */
    private Verification lastGood(ServiceAccountToken token, Reason otherwise) {
        Reviewed good = genuine.get(token.fingerprint());
        return good != null && token.expiresAt().isAfter(clock.instant()) ? good.verdict() : new NotVerified(otherwise);
    }

    private Optional<Reason> whyNotAsk(ServiceAccountToken token, String source) {
        long now = nanos.getAsLong();
        Optional<Reason> paused = paused(now);
        if (paused.isPresent()) {
            return paused;
        }
        return refusals.exhausted(source, now) || permits.empty(now) || !waiting.enter(source, token)
                ? Optional.of(Reason.LIMIT)
                : Optional.empty();
    }

    /** Why the API server is not to be asked about any token now. */
    private Optional<Reason> paused(long now) {
        return pause.filter(begun -> now - begun.until() < 0).map(Pause::reason);
    }

    /** Asks about the next ones, as many as may be under way at once. */
    private void askNext() {
        while (underWay < MOST_UNDER_WAY) {
            Optional<Flight> next = waiting.next();
            if (next.isEmpty()) {
                return;
            }
            next.get().ask();
        }
    }

    private Verification answered(ServiceAccountToken token, String source, Verification verdict) {
        if (warnedOf.isPresent()) {
            LOG.info("The API server reviews tokens again");
            warnedOf = Optional.empty();
        }
        pause = Optional.empty();
        if (verdict instanceof NotVerified not && not.reason() == Reason.API_SERVER) {
            // It could not find out. What it has found out before is still so.
            return lastGood(token, Reason.API_SERVER);
        }
        if (verdict instanceof VerifiedClaims) {
            bad.remove(token.fingerprint());
            genuine.put(token.fingerprint(), new Reviewed(verdict, nanos.getAsLong() + GOOD_FOR.toNanos()));
        } else {
            genuine.remove(token.fingerprint());
            bad.put(token.fingerprint(), new Reviewed(verdict, nanos.getAsLong() + BAD_FOR.toNanos()));
        }
        if (verdict instanceof RejectedToken) {
            refusals.allows(source, nanos.getAsLong());
        }
        return verdict;
    }

    /** Returns what tokens without a good word are now. */
    private Reason failed(Throwable cause) {
        boolean forbidden = cause instanceof SourceFailure failure && failure.forbidden();
        Reason reason = forbidden ? Reason.NOT_PERMITTED : Reason.API_SERVER;
        pause = Optional.of(new Pause(reason, nanos.getAsLong() + (forbidden ? FORBIDDEN_PAUSE : PAUSE).toNanos()));
        if (!(cause instanceof SourceFailure)) {
            LOG.error("Asking the API server about a token went wrong", cause);
        } else if (!warnedOf.equals(Optional.of(reason))) {
            warnedOf = Optional.of(reason);
            LOG.warnf("The API server cannot be asked about tokens: EKS Auth judges those that it has not vouched for",
                    Field.of("reason", cause.getMessage()));
        }
        return reason;
    }

    /** One review, and all who wait for it. */
    private final class Flight {

        private final ServiceAccountToken token;
        private final String source;
        private final long began = nanos.getAsLong();
        private final Waiters waiters = new Waiters(timers, loop);

        Flight(ServiceAccountToken token, String source) {
            this.token = token;
            this.source = source;
        }

        boolean late() {
            return nanos.getAsLong() - began >= TokenVerification.PATIENCE.toNanos();
        }

        void join(Consumer<Verification> verdict) {
            waiters.add(verdict, () -> lastGood(token, Reason.API_SERVER), () -> {});
        }

        void ask() {
            // Looked at again, as it has waited: the API server may be away, or others of its source refused, by now.
            Optional<Reason> paused = paused(nanos.getAsLong());
            if (paused.isPresent()) {
                end(lastGood(token, paused.get()));
                return;
            }
            if (waiters.isEmpty() || refusals.exhausted(source, nanos.getAsLong()) || !permits.tryTake(nanos.getAsLong())) {
                end(lastGood(token, Reason.LIMIT));
                return;
            }
            underWay++;
            reviewer.review(token).onComplete(reviewed -> {
                underWay--;
                if (reviewed.succeeded()) {
                    end(answered(token, source, reviewed.result()));
                } else {
                    end(lastGood(token, failed(reviewed.cause())));
                }
                askNext();
            });
        }

        private void end(Verification verdict) {
            flights.remove(token.fingerprint());
            waiting.leave(source, token);
            waiters.answer(verdict);
        }
    }
}
