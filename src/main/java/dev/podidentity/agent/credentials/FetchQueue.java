package dev.podidentity.agent.credentials;

import dev.podidentity.agent.eksauth.EksAuthAnswer;
import dev.podidentity.agent.eksauth.TransientFailure;
import dev.podidentity.agent.loop.FairQueue;
import dev.podidentity.agent.loop.FairQueue.Turn;
import dev.podidentity.agent.loop.Shares;
import dev.podidentity.agent.loop.SourceRateLimit;
import dev.podidentity.agent.loop.Timers;
import dev.podidentity.agent.observe.Limit;
import dev.podidentity.agent.observe.Metrics;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.function.LongSupplier;

/**
 * Decides which flight may call EKS Auth, and when. The number of concurrent calls for waiting pods is limited; further ones
 * wait in a queue for each source address, served round-robin. A flight pays for every five calls with a permit of the
 * source whose turn it is, and success returns the first one. A source can therefore have a hundred failing flights at the
 * same time and ten more per second, however many calls are in progress. While EKS Auth throttles, {@link CallPace} limits
 * the whole node, and while all calls fail, {@link Outage} does. The size of waiting tokens is limited. Confined to the
 * event loop.
 */
final class FetchQueue {

    /** About eight hundred flights with tokens of the usual size, 1 to 2 KiB. Part of the heap's budget: decision 10. */
    static final long MOST_BYTES = 2560L * 1024;
    /** Enough for all pods of a node, which may share its address. */
    static final long MOST_BYTES_PER_SOURCE = 1024L * 1024;
    /** What each source may hold regardless of the others: a flight with the largest usual token. */
    static final long RESERVED_PER_SOURCE = 6L * 1024;
    /** Approximate size of a flight in addition to its token. */
    static final int OVERHEAD = 1024;
    /**
     * For each source, because each made-up token is an identity of its own, and remembering its refusal does not stop the
     * next one.
     */
    static final int FAILURES_PER_SECOND = 10;
    static final int FAILURES_AT_ONCE = 100;
    /** A failed call is retried while a request waits. */
    static final int CALLS_FOR_A_PERMIT = 5;
    /**
     * How many flights may wait for each permit of their source that may be returned. A call takes tens of milliseconds, so
     * a permit serves more flights than this within a request's deadline.
     */
    private static final int WAITING_FOR_EACH_PERMIT = 4;
    /** The time in which a source gets one more permit. */
    private static final long UNTIL_NEXT_PERMIT = Duration.ofSeconds(1).toNanos() / FAILURES_PER_SECOND;

    private final Shares shares = new Shares(MOST_BYTES, MOST_BYTES_PER_SOURCE, RESERVED_PER_SOURCE);
    private final SourceRateLimit permits = new SourceRateLimit(FAILURES_PER_SECOND, FAILURES_AT_ONCE);
    /** How many flights of a source hold a permit that they may return. */
    private final Map<String, Integer> holding = new HashMap<>();
    private final FairQueue<Flight> queue;
    private final CallPace pace;
    private final Outage outage = new Outage();
    private final Metrics metrics;
    private final CredentialLog log;
    private final LongSupplier nanos;
    private final Timers timers;
    /** Serves the queue when a permit or the pace allows another call. */
    private Optional<Timers.Timer> nextTurn = Optional.empty();

    /**
     * @param slots maximum number of concurrent calls for waiting pods
     * @param nanos a monotonic clock
     */
    FetchQueue(int slots, Metrics metrics, CredentialLog log, LongSupplier nanos, Timers timers) {
        this.queue = new FairQueue<>(slots, this::turn);
        this.pace = new CallPace(nanos.getAsLong());
        this.metrics = metrics;
        this.log = log;
        this.nanos = nanos;
        this.timers = timers;
    }

    /**
     * Admits a flight, unless its source has reached a limit.
     *
     * @param bytes the size of its token
     * @return the limit that it would exceed; empty if it was admitted
     */
    Optional<Limit> admit(String source, int bytes) {
        if (permits.exhausted(source, nanos.getAsLong()) && queue.waiting(source) >= mostWaiting(source)) {
            return Optional.of(Limit.REFUSALS);
        }
        return shares.take(source, bytes + OVERHEAD) ? Optional.empty() : Optional.of(Limit.FETCHES);
    }

    /** Returns the failure for a source that has reached a limit. */
    static TransientFailure tooMany() {
        return new TransientFailure(TransientFailure.Reason.THROTTLED,
                "Too many calls to EKS Auth are waiting or have failed for this source address: try again");
    }

    /** Removes an admitted flight. */
    void leave(String source, int bytes) {
        shares.give(source, bytes + OVERHEAD);
    }

    /** Lets a flight call EKS Auth, now or when its turn comes. */
    void add(String source, Flight flight) {
        queue.add(source, flight);
        metrics.fetchesQueued(queue.waiting());
    }

    /** Removes a flight from a source's queue, if it is there. */
    void withdraw(String source, Flight flight) {
        queue.withdraw(source, flight);
        metrics.fetchesQueued(queue.waiting());
    }

    /** A call of an admitted flight has ended. */
    void done() {
        queue.done();
        metrics.fetchesQueued(queue.waiting());
    }

    /** Returns whether a renewal may call EKS Auth now. While calls are limited, waiting pods have precedence. */
    boolean allowsRenewal() {
        long now = nanos.getAsLong();
        boolean limited = pace.slowed(now) || outage.lasts();
        return untilNext(now) <= 0 && !(limited && queue.waiting() > 0);
    }

    private long untilNext(long now) {
        return Math.max(pace.untilNext(now), outage.untilNext(now));
    }

    /** Returns whether calls wait because they fail for all identities. */
    boolean outage() {
        return outage.lasts();
    }

    /** Returns whether calls wait because EKS Auth throttles. */
    boolean throttled() {
        return pace.slowed(nanos.getAsLong());
    }

    /** A call is made. */
    void called() {
        long now = nanos.getAsLong();
        pace.called(now);
        outage.called(now);
    }

    /** A call for an identity has ended. */
    void answered(Identity identity, EksAuthAnswer answer) {
        long now = nanos.getAsLong();
        if (answer instanceof TransientFailure failure && failure.reason() == TransientFailure.Reason.THROTTLED) {
            pace.throttled(now);
        }
        boolean before = outage.lasts();
        outage.answered(identity, answer, now);
        if (!before && outage.lasts()) {
            log.outageBegan((TransientFailure) answer);
        } else if (before && !outage.lasts()) {
            log.outageEnded();
            queue.serve();
            metrics.fetchesQueued(queue.waiting());
        }
    }

    /** A flight that has paid has ended. */
    void settle(String payer, boolean succeeded) {
        if (succeeded) {
            permits.giveBack(payer);
        }
        holding.computeIfPresent(payer, (key, flights) -> flights == 1 ? null : flights - 1);
        // Other flights of the source may have waited for its permit, or for the last one that could be returned.
        queue.serve();
        metrics.fetchesQueued(queue.waiting());
    }

    private Turn turn(String source, Flight flight) {
        long now = nanos.getAsLong();
        if (!flight.ready()) {
            return Turn.DROPPED;
        }
        long wait = untilNext(now);
        if (wait > 0) {
            serveAfter(wait);
            return Turn.ALL_WAIT;
        }
        if (!flight.paid() && !pay(source, flight, now)) {
            if (flight.payer().isPresent() || queue.waiting(source) <= mostWaiting(source)) {
                serveAfter(UNTIL_NEXT_PERMIT);
                return Turn.SOURCE_WAITS;
            }
            flight.turnAway(Limit.REFUSALS, source);
            return Turn.DROPPED;
        }
        flight.call();
        return Turn.STARTED;
    }

    private boolean pay(String source, Flight flight, long now) {
        if (!permits.allows(source, now)) {
            return false;
        }
        if (flight.pay(source, CALLS_FOR_A_PERMIT)) {
            holding.merge(source, 1, Integer::sum);
        }
        return true;
    }

    /** Returns how many flights of a source may wait while it has no permit. */
    private int mostWaiting(String source) {
        return WAITING_FOR_EACH_PERMIT * holding.getOrDefault(source, 0);
    }

    private void serveAfter(long wait) {
        if (nextTurn.isEmpty()) {
            nextTurn = Optional.of(timers.schedule(Duration.ofNanos(wait).plusMillis(1), () -> {
                nextTurn = Optional.empty();
                queue.serve();
                metrics.fetchesQueued(queue.waiting());
            }));
        }
    }
}
