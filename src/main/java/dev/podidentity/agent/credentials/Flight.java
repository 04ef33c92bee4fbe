package dev.podidentity.agent.credentials;

import dev.podidentity.agent.eksauth.EksAuth;
import dev.podidentity.agent.eksauth.EksAuthAnswer;
import dev.podidentity.agent.eksauth.EksAuthFailure;
import dev.podidentity.agent.eksauth.IssuedCredentials;
import dev.podidentity.agent.eksauth.PermanentFailure;
import dev.podidentity.agent.eksauth.TransientFailure;
import dev.podidentity.agent.loop.SingleFlight;
import dev.podidentity.agent.loop.Timers;
import dev.podidentity.agent.observe.Limit;
import dev.podidentity.agent.observe.LimitReport;
import dev.podidentity.agent.observe.Metrics;
import dev.podidentity.agent.token.LivingPods;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Executor;
import java.util.function.DoubleSupplier;
import java.util.function.LongSupplier;
import java.util.function.Predicate;

/**
 * The calls to EKS Auth for one identity, and all requests that wait for what comes of them. It makes one call, and more
 * after pauses while the trouble is transient; a token that EKS Auth refuses, or whose pod has died, is replaced by
 * another pod's. It begins by waiting for its turn in the {@link FetchQueue}, and ends once: with credentials, with a
 * failure, or when its time is over while a call is still under way, whose credentials are welcome all the same.
 *
 * <p>Confined to the event loop.
 */
final class Flight extends SingleFlight.Flight<Waiter, Landing> {

    private static final TransientFailure POD_GONE = new TransientFailure(
            TransientFailure.Reason.UNAVAILABLE, "The pod whose token was to be used is gone: try again");
    private static final TransientFailure OTHERS_REFUSED = new TransientFailure(
            TransientFailure.Reason.UNAVAILABLE, "EKS Auth refused other tokens of this service account: try again");
    private static final TransientFailure WRONG_SUBJECT = new TransientFailure(
            TransientFailure.Reason.BAD_ANSWER,
            "The answer of EKS Auth cannot be used: it is for another service account than the token's");
    private static final TransientFailure NO_SLOT = new TransientFailure(
            TransientFailure.Reason.TIMED_OUT,
            "Too many calls to EKS Auth are under way: try again, or raise --max-concurrent-fetches");
    private static final TransientFailure THROTTLED = new TransientFailure(
            TransientFailure.Reason.THROTTLED, "EKS Auth throttles this account, so that calls to it wait: try again");

    /** What all flights share. */
    record Means(
            EksAuth eksAuth,
            FetchQueue queue,
            RetryPolicy retry,
            RefusedTokens refusedTokens,
            LivingPods living,
            Metrics metrics,
            LimitReport limits,
            CredentialLog log,
            Clock clock,
            LongSupplier nanos,
            Timers timers,
            Executor loop,
            DoubleSupplier random) {}

    /** Whoever keeps what comes of a flight. Is told before those who wait. */
    interface Keeper {

        /** Credentials came, perhaps after the end; whoever is told must call {@link Flight#succeed}. */
        void issued(Flight flight, IssuedCredentials issued);

        /** EKS Auth has refused the token of this caller, which is known of that token by now. */
        void tokenRefused(Flight flight, Caller caller, PermanentFailure refusal);

        /** The flight ends without credentials, by this failure of the identity. */
        void failed(Flight flight, EksAuthFailure failure);

        /**
         * The flight ends without credentials, which says nothing of the identity: no token is left to be used, or a limit
         * does not allow a call.
         */
        void noCredentials(Flight flight, EksAuthFailure failure);

        /** Another token of an identity: of a pod that shares the identity's entry. */
        Optional<Caller> sharing(Identity identity, Predicate<Caller> usable);
    }

    private enum State {
        /** Waits for its turn. */
        QUEUED,
        /** A call is under way. */
        CALLING,
        /** Pauses before the next call. */
        PAUSING,
        /** Has ended. */
        OVER,
        /** Has ended while a call is under way. */
        OVERDUE
    }

    private final Identity identity;
    private final Optional<String> beganBy;
    private final int admittedBytes;
    private final Means means;
    private final Keeper keeper;
    private final long startedAt;
    /** The addresses of all who have asked: each has a queue, and the first turn is the flight's. */
    private final Set<String> sources = new LinkedHashSet<>();
    /** The pods that have asked, and the one whose token is used; without refused tokens. */
    private final PodTokens pods = new PodTokens();
    private final Timers.Timer budget;
    /** Whose token the calls are made with. */
    private Caller caller;
    private State state = State.QUEUED;
    private boolean begun;
    private int attempts;
    /** Whose permit was taken. */
    private Optional<String> payer = Optional.empty();
    private Optional<Timers.Timer> pause = Optional.empty();
    private Optional<EksAuthFailure> lastFailure = Optional.empty();

    /**
     * @param caller whose token is used first
     * @param beganBy the address of the request that begins it, which the queue has admitted; empty for a renewal
     */
    Flight(Caller caller, Optional<String> beganBy, Means means, Keeper keeper) {
        super(means.timers(), means.loop());
        this.identity = caller.identity();
        this.caller = caller;
        this.beganBy = beganBy;
        this.admittedBytes = caller.token().raw().length();
        this.means = means;
        this.keeper = keeper;
        this.startedAt = means.nanos().getAsLong();
        pods.learn(caller);
        Duration timeout = means.retry().flightTimeout();
        this.budget = means.timers().schedule(timeout, () -> fail(failureWithin(timeout)));
    }

    Identity identity() {
        return identity;
    }

    Caller caller() {
        return caller;
    }

    int attempts() {
        return attempts;
    }

    /** Whether it renews an entry: nobody has asked for it, and it takes no slot, unless somebody joins it. */
    boolean renewal() {
        return beganBy.isEmpty();
    }

    /** Whose permit pays for its calls, once it has made one for a request. */
    Optional<String> payer() {
        return payer;
    }

    /** Remembers whose permit pays for its calls. */
    void paidBy(String source) {
        payer = Optional.of(source);
    }

    /** The caller with the same token that is known already, so that it is held once; else the one that is given. */
    Caller known(Caller asking) {
        return caller.sameToken(asking) ? caller : pods.sameToken(asking).orElse(asking);
    }

    /** The pods that have asked or whose token is used, that live, and whose token was not refused. */
    List<Caller> living() {
        return pods.all().stream().filter(this::usable).toList();
    }

    /** Whether it has taken so long, or met trouble already, that it is not worth waiting for with old credentials. */
    boolean late(Duration deadline) {
        return attempts > 1 || state == State.PAUSING || elapsed().compareTo(deadline) >= 0;
    }

    /**
     * Lets a request wait for it.
     *
     * @param source the address it came from
     * @param patience how long it can wait
     * @param deadline how long it has been promised an answer within, which its failure names
     */
    Waiting join(Waiter waiter, String source, Duration patience, Duration deadline) {
        pods.learn(waiter.caller());
        Waiting place = join(waiter, patience, () -> new Landing.Failed(failureWithin(deadline)));
        // Whoever joins must not wait behind all else that the first source has asked for.
        if (sources.add(source) && begun && state == State.QUEUED) {
            means.queue().add(source, this);
        }
        return place;
    }

    /** Makes the next call as soon as it may. */
    void begin() {
        begun = true;
        state = State.QUEUED;
        pause = Optional.empty();
        if (!sources.isEmpty()) {
            for (String source : List.copyOf(sources)) {
                if (state == State.QUEUED) {
                    means.queue().add(source, this);
                }
            }
        } else if (findToken()) {
            call(false);
        } else {
            endForNobody();
        }
    }

    /** Sees to it that its token can still be used, or finds another one if somebody waits. */
    boolean findToken() {
        if (usable(caller)) {
            return true;
        }
        Optional<Caller> other = deserted() ? Optional.empty() : another();
        other.ifPresent(this::use);
        return other.isPresent();
    }

    /** Its turn has come: makes the next call. */
    void call() {
        call(true);
    }

    private void call(boolean inTurn) {
        leaveQueues();
        state = State.CALLING;
        attempts++;
        means.queue().called();
        means.metrics().calling(1);
        long began = means.nanos().getAsLong();
        // Not thenAcceptAsync(): what went wrong in it would be known to nobody.
        means.eksAuth().assumeRole(caller.token()).thenAccept(answer -> means.loop().execute(() -> {
            means.metrics().calling(-1);
            try {
                answered(answer, Duration.ofNanos(means.nanos().getAsLong() - began));
            } finally {
                if (inTurn) {
                    means.queue().done();
                }
            }
        }));
    }

    private void leaveQueues() {
        sources.forEach(source -> means.queue().withdraw(source, this));
    }

    private void use(Caller other) {
        caller = other;
        pods.learn(other);
    }

    private boolean usable(Caller candidate) {
        return !candidate.gone(means.living()) && !means.refusedTokens().contains(candidate.token());
    }

    /** The freshest token of another pod that lives: of one that has asked, or else of one that shares the entry. */
    private Optional<Caller> another() {
        Instant now = means.clock().instant();
        Predicate<Caller> fit = other -> usable(other) && other.token().expiresAt().isAfter(now);
        return pods.freshest(fit).or(() -> keeper.sharing(identity, fit));
    }

    private void answered(EksAuthAnswer given, Duration took) {
        if (state == State.OVERDUE) {
            state = State.OVER;
        }
        means.queue().answered(given);
        EksAuthAnswer answer = checked(given);
        means.log().called(this, answer, took);
        if (answer instanceof IssuedCredentials issued) {
            keeper.issued(this, issued);
        } else if (answer instanceof PermanentFailure refusal && refusal.ofToken()) {
            refused(refusal);
        } else if (answer instanceof EksAuthFailure failure && !over()) {
            failed(failure);
        }
    }

    /** An answer for somebody else is none. */
    private EksAuthAnswer checked(EksAuthAnswer answer) {
        if (!(answer instanceof IssuedCredentials issued) || caller.namedBy(issued)) {
            return answer;
        }
        means.log().wrongSubject(caller, issued);
        return WRONG_SUBJECT;
    }

    private void failed(EksAuthFailure failure) {
        lastFailure = Optional.of(failure);
        // A renewal has one attempt, and the renewer's own pace; unless somebody waits for it by now.
        boolean again = failure instanceof TransientFailure && !(renewal() && deserted());
        Optional<Duration> next = again
                ? means.retry().pauseAfter(attempts, elapsed(), means.random().getAsDouble())
                : Optional.empty();
        if (next.isEmpty()) {
            fail(failure);
            return;
        }
        state = State.PAUSING;
        pause = Optional.of(means.timers().schedule(next.get(), this::begin));
        // Whoever has valid credentials to fall back on gains nothing by waiting for a call that has failed once.
        give(new Landing.Failed(failure), Waiter::hasOld);
    }

    /**
     * Remembers the refusal, however late it comes. Tells those who have shown the token, and goes on with another pod's:
     * a refused token says nothing about those.
     */
    private void refused(PermanentFailure refusal) {
        Caller refused = caller;
        pods.remove(refused);
        keeper.tokenRefused(this, refused, refusal);
        if (over()) {
            return;
        }
        give(new Landing.Failed(refusal), waiter -> waiter.caller().sameToken(refused));
        Optional<Caller> other = means.retry().attemptsLeft(attempts) ? another() : Optional.empty();
        if (other.isPresent()) {
            // Nobody else is to be told what was wrong with this one.
            lastFailure = Optional.empty();
            use(other.get());
            begin();
        } else {
            keeper.noCredentials(this, refusal);
            land(new Landing.Failed(OTHERS_REFUSED), false);
        }
    }

    /** Ends with credentials, unless it has ended. */
    void succeed(Credentials credentials) {
        land(new Landing.Succeeded(credentials), true);
    }

    /** Ends without a call, as the pods whose tokens it could use are gone. */
    void endForNobody() {
        keeper.noCredentials(this, POD_GONE);
        land(new Landing.Failed(POD_GONE), false);
    }

    /** Ends before a further call, as its source has used up its permits meanwhile. */
    void giveUp() {
        fail(lastFailure.orElseGet(FetchQueue::tooMany));
    }

    /**
     * A limit does not let a source pay for its first call: another one that has joined it is to pay, or it ends. Nothing of
     * it is remembered.
     */
    void turnAway(Limit limit, String source) {
        sources.remove(source);
        if (sources.isEmpty()) {
            means.limits().rejected(limit, source);
            TransientFailure failure = FetchQueue.tooMany();
            keeper.noCredentials(this, failure);
            land(new Landing.Failed(failure), false);
        }
    }

    /** A pod has died: its token is used no more, and its requests are turned away. */
    void podGone(String podUid) {
        pods.remove(podUid);
        give(new Landing.PodGone(), waiter -> waiter.caller().podUid().equals(podUid));
    }

    private void fail(EksAuthFailure failure) {
        if (!over()) {
            keeper.failed(this, failure);
            land(new Landing.Failed(failure), false);
        }
    }

    /** The one way to end. */
    private void land(Landing landing, boolean succeeded) {
        if (over()) {
            return;
        }
        state = state == State.CALLING ? State.OVERDUE : State.OVER;
        budget.cancel();
        pause.ifPresent(Timers.Timer::cancel);
        leaveQueues();
        end(landing);
        beganBy.ifPresent(source -> means.queue().leave(source, admittedBytes));
        payer.ifPresent(source -> means.queue().settle(source, succeeded));
    }

    /** What those are told who waited for so long. */
    private EksAuthFailure failureWithin(Duration time) {
        return lastFailure.orElseGet(() -> {
            if (attempts == 0) {
                return means.queue().throttled() ? THROTTLED : NO_SLOT;
            }
            return new TransientFailure(TransientFailure.Reason.TIMED_OUT,
                    "EKS Auth has not answered within " + time.toMillis() + " ms: try again");
        });
    }

    private Duration elapsed() {
        return Duration.ofNanos(means.nanos().getAsLong() - startedAt);
    }
}
