package dev.podidentity.agent.verification;

import dev.podidentity.agent.loop.BoundedMap;
import dev.podidentity.agent.loop.FairQueue;
import dev.podidentity.agent.loop.FairQueue.Turn;
import dev.podidentity.agent.loop.Loop;
import dev.podidentity.agent.loop.RefusalBackoff;
import dev.podidentity.agent.loop.SingleFlight;
import dev.podidentity.agent.loop.SourceRateLimit;
import dev.podidentity.agent.loop.TokenBucket;
import dev.podidentity.agent.observe.Field;
import dev.podidentity.agent.outbound.CallFailure;
import dev.podidentity.agent.token.NotVerified;
import dev.podidentity.agent.token.NotVerified.Reason;
import dev.podidentity.agent.token.RejectedToken;
import dev.podidentity.agent.token.ServiceAccountToken;
import dev.podidentity.agent.token.TokenFingerprint;
import dev.podidentity.agent.token.Verification;
import dev.podidentity.agent.token.VerifiedClaims;
import io.vertx.core.AsyncResult;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.DoubleSupplier;
import java.util.function.LongSupplier;
import org.jboss.logging.Logger;

/**
 * Has the API server review tokens, each once at a time, and caches its verdicts for some minutes. While the API server
 * cannot be asked, its last verdict holds: a valid token stays valid until it expires, and a refused one stays refused. The
 * rate of reviews is limited, because a pod could make up any number of tokens; tokens beyond the limit are left to EKS
 * Auth.
 *
 * <p>Confined to the event loop.
 */
public final class ReviewVerifier implements TokenVerifier {

    private static final Logger LOG = Logger.getLogger(ReviewVerifier.class);
    /** A deleted pod is detected within this time if pods are not watched. */
    private static final Duration GOOD_FOR = Duration.ofMinutes(5);
    /** A pod's SDK retries within seconds, and a refused token rarely becomes valid. */
    private static final Duration BAD_FOR = Duration.ofSeconds(10);
    private static final int MOST_UNKNOWN = 256;
    /**
     * EKS allows 250 pods on a node: all of them at the same time, at startup or when tokens are rotated. The API server can
     * afford this rate from thousands of nodes.
     */
    private static final int PER_SECOND = 20;
    private static final int BURST = 250;
    /** The number of connections of the API server's client. */
    private static final int MOST_UNDER_WAY = 8;
    /** Each made-up token is a new one, so only the source address shows that they come from the same pod. */
    private static final int REFUSALS_PER_SECOND = 1;
    private static final int REFUSALS_AT_ONCE = 20;
    /** Only a few calls per second check whether the API server responds again. */
    private static final Duration PAUSE = Duration.ofSeconds(1);

    private final TokenReviewer reviewer;
    private final Clock clock;
    private final LongSupplier nanos;
    private final Loop loop;
    private final DoubleSupplier random;

    /** The last verdicts on tokens that were valid at some time; made-up tokens cannot evict these. */
    private final BoundedMap<TokenFingerprint, Reviewed> vouchedFor;
    /** The last verdicts on all other tokens. */
    private final BoundedMap<TokenFingerprint, Reviewed> unknown = new BoundedMap<>(MOST_UNKNOWN);
    private final SingleFlight<TokenFingerprint, Flight> flights = new SingleFlight<>();
    private final VerificationRoom room = new VerificationRoom();
    private final FairQueue<Flight> queue = new FairQueue<>(MOST_UNDER_WAY, (source, flight) -> flight.ask());
    private final TokenBucket permits;
    private final SourceRateLimit refusals = new SourceRateLimit(REFUSALS_PER_SECOND, REFUSALS_AT_ONCE);
    /** Why the API server is not asked, and until when. */
    private Optional<Pause> pause = Optional.empty();
    /** In how many consecutive pauses the agent lacked the permission. */
    private int notPermitted;
    /** Since when it has not responded. */
    private Optional<Reason> warnedOf = Optional.empty();

    /**
     * @param reviewer calls the API server
     * @param memory how many genuine tokens to remember; each takes about 1 KiB
     * @param clock the clock for the expiry of tokens
     * @param nanos of a monotonic clock
     * @param loop the event loop to which this is confined
     * @param random from 0 to 1, for jitter
     */
    public ReviewVerifier(
            TokenReviewer reviewer,
            int memory,
            Clock clock,
            LongSupplier nanos,
            Loop loop,
            DoubleSupplier random) {
        this.reviewer = reviewer;
        this.vouchedFor = new BoundedMap<>(memory);
        this.clock = clock;
        this.nanos = nanos;
        this.loop = loop;
        this.random = random;
        this.permits = new TokenBucket(PER_SECOND, BURST, nanos.getAsLong());
    }

    private record Reviewed(Verification verdict, long askAgainAt) {}

    private record Pause(Reason reason, long until) {}

    @Override
    public void verify(ServiceAccountToken token, String source, Consumer<Verification> verdict) {
        Optional<Verification> recent = lastWord(token)
                .filter(word -> nanos.getAsLong() - word.askAgainAt() < 0)
                .map(Reviewed::verdict);
        if (recent.isPresent()) {
            verdict.accept(recent.get());
            return;
        }
        Flight underWay = flights.find(token.fingerprint());
        Optional<Reason> without = underWay == null ? whyNotAsk(token, source) : underWay.late();
        if (without.isPresent()) {
            verdict.accept(lastWordOr(token, without.get()));
        } else if (underWay != null) {
            underWay.join(verdict);
        } else {
            Flight flight = new Flight(token, source);
            flights.begin(token.fingerprint(), flight);
            flight.join(verdict);
            queue.add(source, flight);
        }
    }

    @Override
    public Verification known(ServiceAccountToken token, Instant now) {
        Reviewed word = vouchedFor.get(token.fingerprint());
        return word != null && nanos.getAsLong() - word.askAgainAt() < 0 && token.expiresAt().isAfter(now)
                ? word.verdict()
                : null;
    }

    /** Returns the API server's last verdict on a token; a positive one only until the token expires. */
    private Optional<Reviewed> lastWord(ServiceAccountToken token) {
        return Optional.ofNullable(vouchedFor.get(token.fingerprint()))
                .or(() -> Optional.ofNullable(unknown.get(token.fingerprint())))
                .filter(word -> word.verdict() instanceof RejectedToken || token.expiresAt().isAfter(clock.instant()));
    }

    /** Returns what is known of a token without a call. */
    private Verification lastWordOr(ServiceAccountToken token, Reason otherwise) {
        return lastWord(token).map(Reviewed::verdict).orElseGet(() -> new NotVerified(otherwise));
    }

    private Optional<Reason> whyNotAsk(ServiceAccountToken token, String source) {
        long now = nanos.getAsLong();
        Optional<Reason> paused = paused(now);
        if (paused.isPresent()) {
            return paused;
        }
        return refusals.exhausted(source, now) || permits.empty(now) || !room.enter(source, token)
                ? Optional.of(Reason.LIMIT)
                : Optional.empty();
    }

    /** Returns why the API server must not be asked about any token now. */
    private Optional<Reason> paused(long now) {
        return pause.filter(begun -> now - begun.until() < 0).map(Pause::reason);
    }

    /** The API server has responded. Returns the current verdict on the token. */
    private Verification answered(ServiceAccountToken token, Verification verdict) {
        if (warnedOf.isPresent()) {
            LOG.info("The API server reviews tokens again");
            warnedOf = Optional.empty();
        }
        pause = Optional.empty();
        notPermitted = 0;
        if (verdict instanceof NotVerified not && not.reason() == Reason.API_SERVER) {
            // It could not find out, so its earlier verdict still holds.
            return lastWordOr(token, Reason.API_SERVER);
        }
        boolean good = verdict instanceof VerifiedClaims;
        Reviewed word = new Reviewed(verdict, nanos.getAsLong() + (good ? GOOD_FOR : BAD_FOR).toNanos());
        if (good || vouchedFor.containsKey(token.fingerprint())) {
            unknown.remove(token.fingerprint());
            vouchedFor.put(token.fingerprint(), word);
        } else {
            unknown.put(token.fingerprint(), word);
        }
        return verdict;
    }

    /** The API server has not responded. Returns the result for tokens without a verdict. */
    private Reason failed(Throwable cause) {
        boolean forbidden = cause instanceof CallFailure failure && failure.forbidden();
        Reason reason = forbidden ? Reason.NOT_PERMITTED : Reason.API_SERVER;
        long now = nanos.getAsLong();
        // Concurrent reviews fail together, which counts as a single failure.
        if (!forbidden || !paused(now).equals(Optional.of(Reason.NOT_PERMITTED))) {
            notPermitted = forbidden ? notPermitted + 1 : 0;
            Duration length = forbidden ? RefusalBackoff.pause(notPermitted, random.getAsDouble()) : PAUSE;
            pause = Optional.of(new Pause(reason, now + length.toNanos()));
        }
        if (!(cause instanceof CallFailure)) {
            LOG.error("A token review failed unexpectedly", cause);
        } else if (!warnedOf.equals(Optional.of(reason))) {
            warnedOf = Optional.of(reason);
            LOG.warnf("The API server cannot review tokens: only EKS Auth checks those without a verdict",
                    Field.of("reason", cause.getMessage()));
        }
        return reason;
    }

    /** One review, and all requests that wait for it. */
    private final class Flight extends SingleFlight.Flight<Consumer<Verification>, Verification> {

        private final ServiceAccountToken token;
        private final String source;
        private final long began = nanos.getAsLong();
        private boolean asking;

        Flight(ServiceAccountToken token, String source) {
            super(loop);
            this.token = token;
            this.source = source;
        }

        /** Returns whether it has taken so long that no request should wait for it, and why. */
        Optional<Reason> late() {
            return nanos.getAsLong() - began >= TokenVerification.PATIENCE.toNanos()
                    ? Optional.of(Reason.API_SERVER)
                    : Optional.empty();
        }

        void join(Consumer<Verification> verdict) {
            join(verdict, TokenVerification.PATIENCE, () -> lastWordOr(token, Reason.API_SERVER));
        }

        private Turn ask() {
            // Checked again after waiting: the API server may be down by now, or may have refused other tokens of this
            // source.
            long now = nanos.getAsLong();
            Optional<Reason> without = paused(now).or(() -> tookPermits(now) ? Optional.empty() : Optional.of(Reason.LIMIT));
            if (without.isPresent()) {
                land(lastWordOr(token, without.get()));
                return Turn.DROPPED;
            }
            reviewer.review(token).onComplete(this::reviewed);
            asking = true;
            return Turn.STARTED;
        }

        /** Every review counts as a refusal until it turns out not to be one, so that reviews in progress count. */
        private boolean tookPermits(long now) {
            if (!refusals.allows(source, now)) {
                return false;
            }
            if (!permits.tryTake(now)) {
                refusals.giveBack(source);
                return false;
            }
            return true;
        }

        private void reviewed(AsyncResult<Verification> reviewed) {
            if (reviewed.failed() || !(reviewed.result() instanceof RejectedToken)) {
                refusals.giveBack(source);
            }
            Verification verdict = reviewed.succeeded()
                    ? answered(token, reviewed.result())
                    : lastWordOr(token, failed(reviewed.cause()));
            land(verdict);
            queue.done();
        }

        /** No request waits any more. The review continues, and its result is remembered. */
        @Override
        protected void left() {
            if (!asking) {
                queue.withdraw(source, this);
                land(lastWordOr(token, Reason.LIMIT));
            }
        }

        private void land(Verification verdict) {
            if (end(verdict)) {
                room.leave(source, token);
            }
        }
    }
}
