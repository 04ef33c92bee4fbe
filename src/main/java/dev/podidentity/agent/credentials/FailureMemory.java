package dev.podidentity.agent.credentials;

import dev.podidentity.agent.eksauth.EksAuthFailure;
import java.time.Duration;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The failures of a moment ago, so that whoever asks again at once gets the same answer without a call. Bounded; the
 * oldest is forgotten first. Confined to the event loop.
 */
final class FailureMemory {

    private static final int CAPACITY = 4096;
    /** An identity that nobody asked for in that time starts anew. */
    private static final Duration FORGOTTEN_AFTER = Duration.ofMinutes(1);

    private final RetryPolicy policy;
    private final Map<Identity, Remembered> failures = new LinkedHashMap<>() {

        private static final long serialVersionUID = 1L;

        @Override
        protected boolean removeEldestEntry(Map.Entry<Identity, Remembered> eldest) {
            return size() > CAPACITY;
        }
    };

    FailureMemory(RetryPolicy policy) {
        this.policy = policy;
    }

    /** The failure that is still to be answered, or null. */
    EksAuthFailure current(Identity identity, Instant now) {
        Remembered remembered = failures.get(identity);
        return remembered != null && now.isBefore(remembered.until) ? remembered.failure : null;
    }

    /**
     * Remembers a failure, for longer than the one before.
     *
     * @return whether this is a step that was not reached before, and so worth a line in the log
     */
    boolean remember(Identity identity, EksAuthFailure failure, Instant now, double random) {
        Remembered before = failures.remove(identity);
        boolean again = before != null && now.isBefore(before.until.plus(FORGOTTEN_AFTER));
        int step = again ? Math.min(before.step + 1, policy.lastStep()) : 1;
        failures.put(identity, new Remembered(failure, step, now.plus(policy.memoryOf(step, random))));
        return !again || step > before.step || !before.failure.code().equals(failure.code());
    }

    void forget(Identity identity) {
        failures.remove(identity);
    }

    private record Remembered(EksAuthFailure failure, int step, Instant until) {}
}
