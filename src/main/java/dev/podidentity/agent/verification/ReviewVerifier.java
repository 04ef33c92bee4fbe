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
 * Lets the API server verify tokens: it is asked once for a token at a time, and its word is remembered for some minutes.
 * While it cannot be asked, its last word holds: a token that it has vouched for stays good until it expires, and one that
 * it has refused stays refused. How often it is asked is limited, as a pod could make up any number of tokens; beyond the
 * limit EKS Auth is to judge.
 *
 * <p>Confined to the event loop.
 */
public final class ReviewVerifier implements TokenVerifier {

    private static final Logger LOG = Logger.getLogger(ReviewVerifier.class);
    /** A pod that is deleted is found out within this, if nothing watches the pods. */
    private static final Duration GOOD_FOR = Duration.ofMinutes(5);
    /** A pod's SDK tries again within seconds; a token that was refused seldom becomes good. */
    private static final Duration BAD_FOR = Duration.ofSeconds(10);
    private static final int MOST_UNKNOWN = 256;
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

    private final TokenReviewer reviewer;
    private final Clock clock;
    private final LongSupplier nanos;
    private final Loop loop;
    private final DoubleSupplier random;

    /** The last word on tokens that the API server has vouched for once: made-up ones cannot crowd them out. */
    private final BoundedMap<TokenFingerprint, Reviewed> vouchedFor;
    /** The last word on all others. */
    private final BoundedMap<TokenFingerprint, Reviewed> unknown = new BoundedMap<>(MOST_UNKNOWN);
    private final SingleFlight<TokenFingerprint, Flight> flights = new SingleFlight<>();
    private final VerificationRoom room = new VerificationRoom();
    private final FairQueue<Flight> queue = new FairQueue<>(MOST_UNDER_WAY, (source, flight) -> flight.ask());
    private final TokenBucket permits;
    private final SourceRateLimit refusals = new SourceRateLimit(REFUSALS_PER_SECOND, REFUSALS_AT_ONCE);
    /** Why the API server is not asked, and until when. */
    private Optional<Pause> pause = Optional.empty();
    /** How many pauses in a row it was that it has refused the agent the permission to ask. */
    private int notPermitted;
    /** Since it last answered. */
    private Optional<Reason> warnedOf = Optional.empty();

    /**
     * @param reviewer asks the API server
     * @param memory how many genuine tokens to remember; each takes about 1 KiB
     * @param clock tells the time that tokens expire by
     * @param nanos of a monotonic clock
     * @param loop to which this is confined
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

    /** What the API server has said of a token; a good word only until the token expires. */
    private Optional<Reviewed> lastWord(ServiceAccountToken token) {
        return Optional.ofNullable(vouchedFor.get(token.fingerprint()))
                .or(() -> Optional.ofNullable(unknown.get(token.fingerprint())))
                .filter(word -> word.verdict() instanceof RejectedToken || token.expiresAt().isAfter(clock.instant()));
    }

    /** What can be said of a token without asking. */
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

    /** Why the API server is not to be asked about any token now. */
    private Optional<Reason> paused(long now) {
        return pause.filter(begun -> now - begun.until() < 0).map(Pause::reason);
    }

    /** The API server has answered. Returns what the token is now. */
    private Verification answered(ServiceAccountToken token, Verification verdict) {
        if (warnedOf.isPresent()) {
            LOG.info("The API server reviews tokens again");
            warnedOf = Optional.empty();
        }
        pause = Optional.empty();
        notPermitted = 0;
        if (verdict instanceof NotVerified not && not.reason() == Reason.API_SERVER) {
            // It could not find out. What it has found out before is still so.
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

    /** The API server has not answered. Returns what tokens are now of which it has said nothing. */
    private Reason failed(Throwable cause) {
        boolean forbidden = cause instanceof CallFailure failure && failure.forbidden();
        Reason reason = forbidden ? Reason.NOT_PERMITTED : Reason.API_SERVER;
        long now = nanos.getAsLong();
        // Reviews that were under way together fail together: that is one failure.
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

    /** One review, and all who wait for it. */
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

        /** Whether it has taken so long that nobody should wait for it, and why. */
        Optional<Reason> late() {
            return nanos.getAsLong() - began >= TokenVerification.PATIENCE.toNanos()
                    ? Optional.of(Reason.API_SERVER)
                    : Optional.empty();
        }

        void join(Consumer<Verification> verdict) {
            join(verdict, TokenVerification.PATIENCE, () -> lastWordOr(token, Reason.API_SERVER));
        }

        private Turn ask() {
            // Looked at again, as it has waited: the API server may be away, or others of its source refused, by now.
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

        /** Every review is taken for a refusal until it is known to be none, so that those under way count. */
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

        /** Nobody waits any more. What was asked goes on, and is remembered. */
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
