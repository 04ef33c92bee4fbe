package dev.podidentity.agent.credentials;

import dev.podidentity.agent.eksauth.EksAuthFailure;
import dev.podidentity.agent.eksauth.PermanentFailure;
import dev.podidentity.agent.eksauth.TransientFailure;
import dev.podidentity.agent.loop.BoundedMap;
import java.time.Duration;
import java.util.Optional;

/**
 * Remembers recent failures. A refusal is returned for a while without a call, so that an SDK's immediate retries cost
 * nothing. After a transient failure no call is made for a pause, and requests wait. Bounded: the least recently used
 * failure is forgotten first. Uses a monotonic clock, so that a failure caused by a wrong clock does not outlive the
 * correction. Confined to the event loop.
 */
final class FailureMemory {

    /** Two for each pod of the largest node. */
    static final int CAPACITY = 512;
    /** An identity without requests for this long starts afresh. */
    private static final long FORGOTTEN_AFTER = Duration.ofMinutes(1).toNanos();
    /** Failures that end sooner are not logged, unless a request failed because of them. */
    private static final Duration WORTH_A_LINE = Duration.ofSeconds(2);

    private final RetryPolicy policy;
    private final BoundedMap<Identity, Remembered> failures = new BoundedMap<>(CAPACITY);

    FailureMemory(RetryPolicy policy) {
        this.policy = policy;
    }

    /**
     * The reaction to a transient failure.
     *
     * @param pause the time until the next call
     * @param worthALine whether to log it: it is new, or has lasted twice as long as when it was last logged
     */
    record Remark(Duration pause, boolean worthALine) {}

    /**
     * The transient failure of an identity.
     *
     * @param failure the last failure
     * @param pause the time until the next call; zero if it may be made now
     */
    record Trouble(TransientFailure failure, Duration pause) {}

    /**
     * Returns the remembered refusal, if there is one.
     *
     * @param now nanoseconds of a monotonic clock
     */
    Optional<PermanentFailure> refusal(Identity identity, long now) {
        Remembered remembered = failures.get(identity);
        return remembered != null && remembered.failure instanceof PermanentFailure refusal && now - remembered.until < 0
                ? Optional.of(refusal)
                : Optional.empty();
    }

    /**
     * Returns the transient failure of an identity that has not succeeded since.
     *
     * @param now nanoseconds of a monotonic clock
     */
    Optional<Trouble> trouble(Identity identity, long now) {
        Remembered remembered = failures.get(identity);
        if (remembered == null || forgotten(remembered, now) || !(remembered.failure instanceof TransientFailure failure)) {
            return Optional.empty();
        }
        return Optional.of(new Trouble(failure, Duration.ofNanos(Math.max(0, remembered.until - now))));
    }

    /**
     * Remembers a refusal, for longer than the previous one.
     *
     * @param now nanoseconds of a monotonic clock
     * @param random from 0 to 1
     * @return whether to log it
     */
    boolean refused(Identity identity, PermanentFailure refusal, long now, double random) {
        Optional<Remembered> before = before(identity, refusal, now);
        int step = before.map(Remembered::step).orElse(0) + 1;
        Duration memory = policy.memoryOf(refusal, step, random);
        return remember(identity, before, refusal, step, memory, now, true).worthALine();
    }

    /**
     * Remembers a transient failure of a call.
     *
     * @param now nanoseconds of a monotonic clock
     * @param outage whether all identities fail, so that this one need not pause
     * @param random from 0 to 1
     */
    Remark failed(Identity identity, TransientFailure failure, long now, boolean outage, double random) {
        Optional<Remembered> before = before(identity, failure, now);
        Duration troubled = before.map(remembered -> Duration.ofNanos(now - remembered.since)).orElse(Duration.ZERO);
        Duration pause = outage ? Duration.ZERO : policy.pause(troubled, random);
        return remember(identity, before, failure, 1, pause, now, troubled.compareTo(WORTH_A_LINE) >= 0);
    }

    /**
     * Returns whether to log the transient failure of an identity's calls: it is new, or has lasted twice as long as when it
     * was last logged.
     *
     * @param now nanoseconds of a monotonic clock
     */
    boolean endWorthALine(Identity identity, long now) {
        Remembered remembered = failures.get(identity);
        if (remembered == null || !(remembered.failure instanceof TransientFailure) || now - remembered.nextLine < 0) {
            return false;
        }
        failures.put(identity, remembered.told(now));
        return true;
    }

    private Remark remember(
            Identity identity,
            Optional<Remembered> before,
            EksAuthFailure failure,
            int step,
            Duration pause,
            long now,
            boolean telling) {
        boolean known = before.isPresent() && before.get().failure.code().equals(failure.code());
        long since = before.isPresent() ? before.get().since : now;
        long nextLine = known ? before.get().nextLine : now;
        boolean worthALine = telling && now - nextLine >= 0;
        Remembered remembered = new Remembered(failure, since, step, now + pause.toNanos(), nextLine);
        failures.put(identity, worthALine ? remembered.told(now) : remembered);
        return new Remark(pause, worthALine);
    }

    void forget(Identity identity) {
        failures.remove(identity);
    }

    /** Returns the failure of an identity since its last success, if it is of the given class. */
    private Optional<Remembered> before(Identity identity, EksAuthFailure failure, long now) {
        return Optional.ofNullable(failures.get(identity))
                .filter(remembered -> !forgotten(remembered, now))
                .filter(remembered -> remembered.failure.getClass() == failure.getClass());
    }

    private static boolean forgotten(Remembered remembered, long now) {
        return now - remembered.until >= FORGOTTEN_AFTER;
    }

    /**
     * @param since when the first of these consecutive failures occurred
     * @param step the number of consecutive failures; counted for refusals only
     * @param until when the pause or the memory ends
     * @param nextLine when to log it again
     */
    private record Remembered(EksAuthFailure failure, long since, int step, long until, long nextLine) {

        Remembered told(long now) {
            return new Remembered(failure, since, step, until, now + Math.max(WORTH_A_LINE.toNanos(), now - since));
        }
    }
}
