package dev.podidentity.agent.credentials;

import dev.podidentity.agent.eksauth.EksAuthAnswer;
import dev.podidentity.agent.eksauth.TransientFailure;
import java.time.Duration;
import java.util.HashSet;
import java.util.Set;

/**
 * Detects that EKS Auth is unusable for the whole node: it is down, unreachable, or rejects the agent. Every call would fail
 * then, so only occasional ones are made, for whichever flight is next, to detect the end. An outage starts when the calls
 * of {@value #IDENTITIES} identities in a row have failed: trouble with a single identity is not an outage. It ends with the
 * first call to which EKS Auth responds, even with a refusal. Confined to the event loop.
 */
final class Outage {

    static final int IDENTITIES = 3;
    /** An SDK waits at least 0.9 s for a response: enough to see an attempt, and for the calls that then proceed. */
    private static final Duration LONGEST_INTERVAL = Duration.ofMillis(500);

    /** The identities whose calls have failed since EKS Auth last responded; no more than make an outage. */
    private final Set<Identity> failing = new HashSet<>();
    private long since;
    private long nextAt;

    /** Returns whether there is an outage now. */
    boolean lasts() {
        return failing.size() == IDENTITIES;
    }

    /**
     * Returns the time until the next call may be made, in nanoseconds; 0 or less if it may be made now.
     *
     * @param now nanoseconds of a monotonic clock
     */
    long untilNext(long now) {
        return lasts() ? nextAt - now : 0;
    }

    /** A call is made. */
    void called(long now) {
        if (lasts()) {
            pause(now);
        }
    }

    private void pause(long now) {
        nextAt = now + RetryPolicy.part(Duration.ofNanos(now - since), LONGEST_INTERVAL).toNanos();
    }

    /** A call for an identity has ended. */
    void answered(Identity identity, EksAuthAnswer answer, long now) {
        boolean failed = answer instanceof TransientFailure failure && failure.reason() != TransientFailure.Reason.THROTTLED;
        if (!failed) {
            failing.clear();
        } else if (!lasts()) {
            if (failing.isEmpty()) {
                since = now;
            }
            failing.add(identity);
            pause(now);
        }
    }
}
