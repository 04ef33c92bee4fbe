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
 * The calls to EKS Auth for one identity, and all requests that wait for their result. While failures are transient, it
 * retries with pauses for as long as a request waits and a little longer, since SDKs retry too. If EKS Auth refuses a token,
 * or its pod is deleted, another pod's token replaces it. Each call waits for its turn in the {@link FetchQueue}. A flight
 * ends once: with credentials, with a refusal, when no request waits for it any more, or when its timeout passes during a
 * call, whose credentials are still used if they arrive.
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

    /** Stores the result of a flight. Called before the waiting requests are. */
    interface Keeper {

        /** Credentials have arrived, possibly after the end; the callee must call {@link Flight#succeed}. */
        void issued(Flight flight, IssuedCredentials issued);

        /** EKS Auth has refused this caller's token. */
        void tokenRefused(Flight flight, Caller caller, PermanentFailure refusal);

        /** EKS Auth refuses the identity, which ends the flight. */
        void identityRefused(Flight flight, PermanentFailure refusal);

        /**
         * A call failed for a transient reason, or has not ended in time.
         *
         * @return the pause before the next call
         */
        Duration failed(Flight flight, TransientFailure failure);

        /**
         * The flight ends without credentials: it was refused or failed, or has no token or permit for a call. Called after
         * the others.
         */
        void endedWithout(Flight flight, EksAuthFailure failure);

        /** Returns another token of an identity, of a pod that shares the identity's entry. */
        Optional<Caller> sharing(Identity identity, Predicate<Caller> usable);
    }

    private enum State {
        /** Has not started. */
        NEW,
        /** Waits for its turn. */
        QUEUED,
        /** A call is in progress. */
        CALLING,
        /** Pauses before the next call. */
        PAUSING,
        /** Has ended. */
        OVER,
        /** Has ended while a call is in progress. */
        OVERDUE
    }

    private final Identity identity;
    private final Optional<String> beganBy;
    private final int admittedBytes;
    private final Means means;
    private final Keeper keeper;
    private final long startedAt;
    /** The source addresses of all requests. Each has a queue, and the flight uses the first turn. */
    private final Set<String> sources = new LinkedHashSet<>();
    /** The pods that have asked, and the one whose token is used, without refused tokens. */
    private final PodTokens pods = new PodTokens();
    private Timers.Timer timeout;
    /** The caller whose token the calls use. */
    private Caller caller;
    private State state = State.NEW;
    private int attempts;
    private int refusedTokens;
    /** When the current call started. */
    private long calledAt;
    /** Since when no request has waited. */
    private long desertedSince;
    /** The source whose permit was taken first. */
    private Optional<String> payer = Optional.empty();
    private int callsPaidFor;
    private Optional<Timers.Timer> pause = Optional.empty();
    private Optional<TransientFailure> lastFailure;
    private final Duration firstPause;

    /**
     * @param caller whose token is used first
     * @param beganBy the source address of the request that starts it, which the queue has admitted; empty for a renewal
     * @param trouble the earlier failure of calls for the identity
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

    /** Returns whether it renews an entry: no request has started it, and it takes no slot, unless a request joins it. */
    boolean renewal() {
        return beganBy.isEmpty();
    }

    /** Returns the source whose permit it took first, if any. */
    Optional<String> payer() {
        return payer;
    }

    /** Returns whether it has a permit that is not used up. */
    boolean paid() {
        return callsPaidFor > 0;
    }

    /**
     * Remembers a permit.
     *
     * @param source the owner of the permit
     * @param calls how many calls it covers
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

    /** Returns the known caller with the same token, so that it is stored once; otherwise the given one. */
    Caller known(Caller asking) {
        return caller.sameToken(asking) ? caller : pods.sameToken(asking).orElse(asking);
    }

    /** Returns the running pods that have asked or whose token is used, and whose token was not refused. */
    List<Caller> living() {
        return pods.all().stream().filter(this::usable).toList();
    }

    /** Returns whether it has taken so long, or failed already, that valid cached credentials should be served instead. */
    boolean late(Duration deadline) {
        return attempts > 1 || lastFailure.isPresent() || means.queue().outage() || elapsed().compareTo(deadline) >= 0;
    }

    /**
     * Adds a waiting request.
     *
     * @param patience how long it can wait
     * @param deadline the deadline of the request, which its failure names
     */
    Waiting join(Waiter waiter, Duration patience, Duration deadline) {
        pods.learn(waiter.caller());
        Waiting place = join(waiter, patience, () -> new Landing.Failed(failureWithin(deadline)));
        // A request that joins must not wait behind all other requests of the first source.
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
     * Its turn has come. Makes sure that its token can still be used, or selects another one if a request waits. Ends if
     * there is none, or if it has failed and no request waits.
     *
     * @return whether to make a call
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

    /** Returns whether a request waits, or may soon return. */
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
        // Not thenAcceptAsync(), which would swallow exceptions.
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

    /** Returns the freshest token of another running pod: one that has asked, or one that shares the entry. */
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

    /** Rejects a response for another service account. */
    private EksAuthAnswer checked(EksAuthAnswer answer) {
        if (!(answer instanceof IssuedCredentials issued) || caller.namedBy(issued)) {
            return answer;
        }
        means.log().wrongSubject(caller, issued);
        return WRONG_SUBJECT;
    }

    private void failed(TransientFailure failure) {
        lastFailure = Optional.of(failure);
        // A renewal makes a single attempt, at the renewer's own pace, unless a request waits by now.
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
        // A request with valid cached credentials gains nothing by waiting after a failed call.
        give(new Landing.Failed(failure), Waiter::hasOld);
    }

    /**
     * Remembers the refusal, however late it arrives. Fails the requests with that token, and continues with another pod's
     * token, since the refusal says nothing about those.
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
     * A limit prevents a source from paying for its first call. Another source that has joined pays instead, or the flight
     * ends without being remembered.
     */
    void turnAway(Limit limit, String source) {
        sources.remove(source);
        if (sources.isEmpty()) {
            means.limits().rejected(limit, source);
            endWithout(FetchQueue.tooMany());
        }
    }

    /** A pod was deleted: its token is no longer used, and its requests are rejected. */
    void podGone(String podUid) {
        pods.remove(podUid);
        give(new Landing.PodGone(), waiter -> waiter.caller().podUid().equals(podUid));
    }

    /**
     * Its timeout has passed, which does not apply while requests wait: each of its calls ends by itself, unless something
     * is wrong.
     */
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

    /** It may continue for as long as EKS Auth is down, while requests come and go. */
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

    /** The only way to end. */
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

    /** The failure for requests that have waited until their deadline. */
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
