package dev.podidentity.agent.credentials;

import dev.podidentity.agent.eksauth.EksAuthFailure;
import dev.podidentity.agent.loop.BoundedMap;
import java.time.Duration;

/**
 * Recent failures, so that whoever asks again at once gets the same answer without a call. Bounded: the failure that was
 * looked up least recently is forgotten first. Goes by a monotonic clock, so that a failure that a wrong clock
 * has caused does not outlive its correction. Confined to the event loop.
 */
final class FailureMemory {

    /** Several for each pod of a node. */
    static final int CAPACITY = 1024;
    /** An identity that nobody asked for in that time starts anew. */
    private static final long FORGOTTEN_AFTER = Duration.ofMinutes(1).toNanos();

    private final RetryPolicy policy;
    private final BoundedMap<Identity, Remembered> failures = new BoundedMap<>(CAPACITY);

    FailureMemory(RetryPolicy policy) {
        this.policy = policy;
    }

    /**
     * The failure that is still to be answered, or null.
     *
     * @param now nanoseconds of a monotonic clock
     */
    EksAuthFailure current(Identity identity, long now) {
        Remembered remembered = failures.get(identity);
        return remembered != null && now - remembered.until < 0 ? remembered.failure : null;
    }

    /**
     * Remembers a failure, for longer than the one before.
     *
     * @param now nanoseconds of a monotonic clock
     * @return whether this is a step that was not reached before, and so worth a line in the log
     */
    boolean remember(Identity identity, EksAuthFailure failure, long now, double random) {
        Remembered before = failures.get(identity);
        boolean again = before != null && now - before.until < FORGOTTEN_AFTER;
        int step = again ? Math.min(before.step + 1, policy.lastStep()) : 1;
        failures.put(identity, new Remembered(failure, step, now + policy.memoryOf(failure, step, random).toNanos()));
        return !again || step > before.step || !before.failure.code().equals(failure.code());
    }

    void forget(Identity identity) {
        failures.remove(identity);
    }

    private record Remembered(EksAuthFailure failure, int step, long until) {}
}
