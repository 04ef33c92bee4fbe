package dev.podidentity.agent.credentials;

import dev.podidentity.agent.eksauth.EksAuthFailure;
import dev.podidentity.agent.eksauth.PermanentFailure;
import dev.podidentity.agent.eksauth.TransientFailure;
import dev.podidentity.agent.loop.BoundedMap;
import java.time.Duration;
import java.util.Optional;

/**
 * Recent failures. A refusal is answered for a while without a call, so that an SDK's instant retries cost nothing. After
 * transient trouble no call is made for a pause, for which requests wait. Bounded: the failure that was looked up least
 * recently is forgotten first. Goes by a monotonic clock, so that a failure that a wrong clock has caused does not outlive
 * its correction. Confined to the event loop.
 */
final class FailureMemory {

    /** Two for each pod of the largest node. */
    static final int CAPACITY = 512;
    /** An identity for which nobody asked in that time starts anew. */
    private static final long FORGOTTEN_AFTER = Duration.ofMinutes(1).toNanos();
    /** Trouble that is over sooner is not worth a line in the log, unless somebody got no credentials for it. */
    private static final Duration WORTH_A_LINE = Duration.ofSeconds(2);

    private final RetryPolicy policy;
    private final BoundedMap<Identity, Remembered> failures = new BoundedMap<>(CAPACITY);

    FailureMemory(RetryPolicy policy) {
        this.policy = policy;
    }

    /**
     * What is done about transient trouble.
     *
     * @param pause the time until the next call
     * @param worthALine whether it is to be logged: it is new, or has lasted twice as long as when it was logged last
     */
    record Remark(Duration pause, boolean worthALine) {}

    /**
     * Transient trouble of an identity.
     *
     * @param failure what happened last
     * @param pause the time until the next call; zero if it may be made now
     */
    record Trouble(TransientFailure failure, Duration pause) {}

    /**
     * The refusal that is still to be answered, if there is one.
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
     * The transient trouble of an identity that was not seen to end.
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
     * Remembers a refusal, for longer than the one before.
     *
     * @param now nanoseconds of a monotonic clock
     * @param random from 0 to 1
     * @return whether it is worth a line in the log
     */
    boolean refused(Identity identity, PermanentFailure refusal, long now, double random) {
        Optional<Remembered> before = before(identity, refusal, now);
        int step = before.map(Remembered::step).orElse(0) + 1;
        Duration memory = policy.memoryOf(refusal, step, random);
        return remember(identity, before, refusal, step, memory, now, true).worthALine();
    }

    /**
     * Remembers that a call met transient trouble.
     *
     * @param now nanoseconds of a monotonic clock
     * @param outage whether all identities fail, so that it is not for this one to pause
     * @param random from 0 to 1
     */
    Remark failed(Identity identity, TransientFailure failure, long now, boolean outage, double random) {
        Optional<Remembered> before = before(identity, failure, now);
        Duration troubled = before.map(remembered -> Duration.ofNanos(now - remembered.since)).orElse(Duration.ZERO);
        Duration pause = outage ? Duration.ZERO : policy.pause(troubled, random);
        return remember(identity, before, failure, 1, pause, now, troubled.compareTo(WORTH_A_LINE) >= 0);
    }

    /**
     * Whether it is worth a line in the log that the calls for an identity end in transient trouble, as there was none yet, or it
     * has lasted twice as long.
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

    /** What an identity has met since it last succeeded, if it is of the same class. */
    private Optional<Remembered> before(Identity identity, EksAuthFailure failure, long now) {
        return Optional.ofNullable(failures.get(identity))
                .filter(remembered -> !forgotten(remembered, now))
                .filter(remembered -> remembered.failure.getClass() == failure.getClass());
    }

    private static boolean forgotten(Remembered remembered, long now) {
        return now - remembered.until >= FORGOTTEN_AFTER;
    }

    /**
     * @param since when the first of the failures in a row came
     * @param step how many there were in a row; counted for refusals only
     * @param until when the pause or the memory ends
     * @param nextLine when another line in the log is worth it
     */
    private record Remembered(EksAuthFailure failure, long since, int step, long until, long nextLine) {

        Remembered told(long now) {
            return new Remembered(failure, since, step, until, now + Math.max(WORTH_A_LINE.toNanos(), now - since));
        }
    }
}
