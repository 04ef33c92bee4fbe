package dev.podidentity.agent.credentials;

import dev.podidentity.agent.eksauth.EksAuth;
import dev.podidentity.agent.eksauth.EksAuthAnswer;
import dev.podidentity.agent.eksauth.EksAuthFailure;
import dev.podidentity.agent.eksauth.IssuedCredentials;
import dev.podidentity.agent.eksauth.PermanentFailure;
import dev.podidentity.agent.eksauth.TransientFailure;
import dev.podidentity.agent.loop.Loop;
import dev.podidentity.agent.loop.SingleFlight;
import dev.podidentity.agent.loop.Timers;
import dev.podidentity.agent.observe.Limit;
import dev.podidentity.agent.observe.LimitReport;
import dev.podidentity.agent.observe.Metrics;
import dev.podidentity.agent.verification.LivingPods;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.DoubleSupplier;
import java.util.function.LongSupplier;
import java.util.function.Predicate;
import java.util.stream.Collectors;

/**
 * The calls to EKS Auth for one identity, and all requests that wait for what comes of them. While the trouble is transient
 * it makes one call after another, with pauses between them, for as long as somebody waits and a little longer, since an SDK
 * asks again; a token that EKS Auth refuses, or whose pod has died, is replaced by another pod's. Each call waits for its
 * turn in the {@link FetchQueue}. A flight ends once: with credentials, with a refusal, as nobody waits for it any more, or
 * when its time is over while a call is still under way, whose credentials are welcome all the same.
 *
 * <p>Confined to the event loop.
 */
final class Flight extends SingleFlight.Flight<Waiter, Landing> {

    private static final TransientFailure POD_GONE = new TransientFailure(
            TransientFailure.Reason.UNAVAILABLE, "The pod whose token was used no longer exists: try again");
    private static final TransientFailure OTHERS_REFUSED = new TransientFailure(
            TransientFailure.Reason.UNAVAILABLE, "EKS Auth refused other tokens of this service account: try again");
    private static final TransientFailure WRONG_SUBJECT = new TransientFailure(
            TransientFailure.Reason.BAD_ANSWER,
            "The response of EKS Auth cannot be used: it names another service account than the token");
    private static final TransientFailure NO_SLOT = new TransientFailure(
            TransientFailure.Reason.TIMED_OUT,
            "Too many calls to EKS Auth are in progress: try again, or raise --max-concurrent-fetches");
    private static final TransientFailure THROTTLED = new TransientFailure(
            TransientFailure.Reason.THROTTLED, "EKS Auth throttles this account, so calls are delayed: try again");
    private static final TransientFailure OUTAGE = new TransientFailure(
            TransientFailure.Reason.UNAVAILABLE,
            "Calls to EKS Auth fail for all pods of this node: try again, and see the agent's log");

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
            Loop loop,
            DoubleSupplier random) {}

    /** Whoever keeps what comes of a flight. Is told before those who wait. */
    interface Keeper {

        /** Credentials came, perhaps after the end; whoever is told must call {@link Flight#succeed}. */
        void issued(Flight flight, IssuedCredentials issued);

        /** EKS Auth has refused the token of this caller, which is known of that token by now. */
        void tokenRefused(Flight flight, Caller caller, PermanentFailure refusal);

        /** EKS Auth refuses the identity, which ends the flight. */
        void identityRefused(Flight flight, PermanentFailure refusal);

        /**
         * A call has met transient trouble, or has not ended in time.
         *
         * @return the pause before the next call
         */
        Duration failed(Flight flight, TransientFailure failure);

        /**
         * The flight ends without credentials: as it was refused, or failed, or has no token or permit for a call. Called
         * after the others.
         */
        void endedWithout(Flight flight, EksAuthFailure failure);

        /** Another token of an identity: of a pod that shares the identity's entry. */
        Optional<Caller> sharing(Identity identity, Predicate<Caller> usable);
    }

    private enum State {
        /** Has not begun. */
        NEW,
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
    private Timers.Timer timeout;
    /** Whose token the calls are made with. */
    private Caller caller;
    private State state = State.NEW;
    private int attempts;
    private int refusedTokens;
    /** When the call began that is under way. */
    private long calledAt;
    /** Since when nobody has waited. */
    private long desertedSince;
    /** Whose permit was taken first. */
    private Optional<String> payer = Optional.empty();
    private int callsPaidFor;
    private Optional<Timers.Timer> pause = Optional.empty();
    private Optional<TransientFailure> lastFailure;
    private final Duration firstPause;

    /**
     * @param caller whose token is used first
     * @param beganBy the address of the request that begins it, which the queue has admitted; empty for a renewal
     * @param trouble what calls for the identity have met before
     */
    Flight(
            Caller caller,
            Optional<String> beganBy,
            Optional<FailureMemory.Trouble> trouble,
            Means means,
            Keeper keeper) {
        super(means.loop());
        this.identity = caller.identity();
        this.caller = caller;
        this.beganBy = beganBy;
        this.admittedBytes = caller.token().length();
        this.means = means;
        this.keeper = keeper;
        this.startedAt = means.nanos().getAsLong();
        this.desertedSince = startedAt;
        this.lastFailure = trouble.map(FailureMemory.Trouble::failure);
        this.firstPause = trouble.map(FailureMemory.Trouble::pause).orElse(Duration.ZERO);
        beganBy.ifPresent(sources::add);
        pods.learn(caller);
        this.timeout = means.loop().schedule(means.retry().flightTimeout(), this::timeOver);
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

    /** Whose permit it took first, if it has taken one. */
    Optional<String> payer() {
        return payer;
    }

    /** Whether it has a permit, of some source, which it has not used up. */
    boolean paid() {
        return callsPaidFor > 0;
    }

    /**
     * Remembers a permit.
     *
     * @param source whose it is
     * @param calls how many calls it is good for
     * @return whether it is the flight's first
     */
    boolean pay(String source, int calls) {
        boolean first = payer.isEmpty();
        if (first) {
            payer = Optional.of(source);
        }
        callsPaidFor = calls;
        return first;
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
        return attempts > 1 || lastFailure.isPresent() || means.queue().outage() || elapsed().compareTo(deadline) >= 0;
    }

    /**
     * Lets a request wait for it.
     *
     * @param patience how long it can wait
     * @param deadline how long it has been promised an answer within, which its failure names
     */
    Waiting join(Waiter waiter, Duration patience, Duration deadline) {
        pods.learn(waiter.caller());
        Waiting place = join(waiter, patience, () -> new Landing.Failed(failureWithin(deadline)));
        // Whoever joins must not wait behind all else that the first source has asked for.
        if (sources.add(waiter.source()) && state == State.QUEUED) {
            means.queue().add(waiter.source(), this);
        }
        return place;
    }

    /** Makes its first call, as soon as it may. */
    void begin() {
        if (firstPause.isZero()) {
            queue();
        } else {
            pause(firstPause);
        }
    }

    private void pause(Duration time) {
        state = State.PAUSING;
        pause = Optional.of(means.loop().schedule(time, this::queue));
    }

    /** Makes the next call, as soon as it may. */
    private void queue() {
        state = State.QUEUED;
        pause = Optional.empty();
        if (!sources.isEmpty()) {
            for (String source : List.copyOf(sources)) {
                if (state == State.QUEUED) {
                    means.queue().add(source, this);
                }
            }
        } else if (ready()) {
            call(false);
        }
    }

    /**
     * Its turn has come. Sees to it that its token can still be used, or finds another one if somebody waits; ends if there
     * is none, or if it has failed and nobody waits for it any more.
     *
     * @return whether it is to make a call
     */
    boolean ready() {
        if (attempts > 0 && !wanted()) {
            endWithout(lastFailure.orElse(OTHERS_REFUSED));
            return false;
        }
        if (!usable(caller)) {
            Optional<Caller> other = deserted() ? Optional.empty() : another();
            if (other.isEmpty()) {
                endWithout(POD_GONE);
                return false;
            }
            use(other.get());
        }
        return true;
    }

    /** Whether somebody waits, or may soon be back. */
    private boolean wanted() {
        return !deserted() || means.retry().goesOnForNobody(since(desertedSince));
    }

    @Override
    protected void left() {
        desertedSince = means.nanos().getAsLong();
    }

    /** Makes the next call. */
    void call() {
        call(true);
    }

    private void call(boolean inTurn) {
        leaveQueues();
        state = State.CALLING;
        attempts++;
        callsPaidFor--;
        calledAt = means.nanos().getAsLong();
        means.queue().called();
        means.metrics().calling(1);
        long began = calledAt;
        // Not thenAcceptAsync(): what went wrong in it would be known to nobody.
        means.eksAuth().assumeRole(caller.token()).thenAccept(answer -> means.loop().execute(() -> {
            means.metrics().calling(-1);
            try {
                answered(answer, since(began));
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
        means.queue().answered(identity, given);
        EksAuthAnswer answer = checked(given);
        means.log().called(this, answer, took);
        if (answer instanceof IssuedCredentials issued) {
            keeper.issued(this, issued);
        } else if (answer instanceof PermanentFailure refusal && refusal.ofToken()) {
            refused(refusal);
        } else if (answer instanceof PermanentFailure refusal && !over()) {
            keeper.identityRefused(this, refusal);
            endWithout(refusal);
        } else if (answer instanceof TransientFailure failure && !over()) {
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

    private void failed(TransientFailure failure) {
        lastFailure = Optional.of(failure);
        // A renewal has one attempt, and the renewer's own pace; unless somebody waits for it by now.
        boolean last = renewal() ? deserted() : !wanted();
        Duration time = keeper.failed(this, failure);
        if (last) {
            endWithout(failure);
            return;
        }
        if (time.isZero()) {
            queue();
        } else {
            pause(time);
        }
        // Whoever has valid credentials to fall back on gains nothing by waiting for a call that has failed once.
        give(new Landing.Failed(failure), Waiter::hasOld);
    }

    /**
     * Remembers the refusal, however late it comes. Tells those who have shown the token, and goes on with another pod's:
     * a refused token says nothing about those.
     */
    private void refused(PermanentFailure refusal) {
        Caller refused = caller;
        refusedTokens++;
        pods.remove(refused);
        keeper.tokenRefused(this, refused, refusal);
        if (over()) {
            return;
        }
        give(new Landing.Failed(refusal), waiter -> waiter.caller().sameToken(refused));
        Optional<Caller> other = means.retry().mayUseAnotherToken(refusedTokens) ? another() : Optional.empty();
        if (other.isPresent()) {
            use(other.get());
            queue();
        } else {
            keeper.endedWithout(this, refusal);
            land(new Landing.Failed(OTHERS_REFUSED), false);
        }
    }

    /** Ends with credentials, unless it has ended. */
    void succeed(Credentials credentials) {
        land(new Landing.Succeeded(credentials), true);
    }

    /**
     * A limit does not let a source pay for its first call: another one that has joined it is to pay, or it ends. Nothing of
     * it is remembered.
     */
    void turnAway(Limit limit, String source) {
        sources.remove(source);
        if (sources.isEmpty()) {
            means.limits().rejected(limit, source);
            endWithout(FetchQueue.tooMany());
        }
    }

    /** A pod has died: its token is used no more, and its requests are turned away. */
    void podGone(String podUid) {
        pods.remove(podUid);
        give(new Landing.PodGone(), waiter -> waiter.caller().podUid().equals(podUid));
    }

    /** Its time is over, but not for those who wait: each of its calls ends by itself, unless something is wrong. */
    private void timeOver() {
        Duration time = means.retry().flightTimeout();
        boolean stuck = state == State.CALLING && since(calledAt).compareTo(time) >= 0;
        if (!deserted() && !stuck) {
            forgetWhoLeft();
            timeout = means.loop().schedule(time, this::timeOver);
            return;
        }
        TransientFailure failure = failureWithin(time);
        if (state == State.CALLING) {
            keeper.failed(this, failure);
        }
        endWithout(failure);
    }

    /** It may go on for as long as EKS Auth is away, while pods come and go. */
    private void forgetWhoLeft() {
        List<Waiter> waiters = waiters();
        Set<String> asking = waiters.stream().map(Waiter::source).collect(Collectors.toSet());
        sources.stream()
                .filter(source -> !asking.contains(source))
                .forEach(source -> means.queue().withdraw(source, this));
        sources.retainAll(asking);
        Set<String> waitingPods = waiters.stream().map(waiter -> waiter.caller().podUid()).collect(Collectors.toSet());
        waitingPods.add(caller.podUid());
        pods.removeIf(pod -> !waitingPods.contains(pod.podUid()));
    }

    /** Ends without credentials. */
    private void endWithout(EksAuthFailure failure) {
        keeper.endedWithout(this, failure);
        land(new Landing.Failed(failure), false);
    }

    /** The one way to end. */
    private void land(Landing landing, boolean succeeded) {
        if (over()) {
            return;
        }
        state = state == State.CALLING ? State.OVERDUE : State.OVER;
        timeout.cancel();
        pause.ifPresent(Timers.Timer::cancel);
        leaveQueues();
        end(landing);
        beganBy.ifPresent(source -> means.queue().leave(source, admittedBytes));
        payer.ifPresent(source -> means.queue().settle(source, succeeded));
    }

    /** What those are told who waited for so long. */
    private TransientFailure failureWithin(Duration time) {
        return lastFailure.orElseGet(() -> {
            if (attempts == 0) {
                return means.queue().outage() ? OUTAGE : means.queue().throttled() ? THROTTLED : NO_SLOT;
            }
            return new TransientFailure(TransientFailure.Reason.TIMED_OUT,
                    "EKS Auth has not answered within " + time.toMillis() + " ms: try again");
        });
    }

    private Duration elapsed() {
        return since(startedAt);
    }

    private Duration since(long then) {
        return Duration.ofNanos(means.nanos().getAsLong() - then);
    }
}
