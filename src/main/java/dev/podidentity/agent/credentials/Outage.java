package dev.podidentity.agent.credentials;

import dev.podidentity.agent.eksauth.EksAuthAnswer;
import dev.podidentity.agent.eksauth.TransientFailure;
import java.time.Duration;
import java.util.HashSet;
import java.util.Set;

/**
 * Notices that EKS Auth cannot be used by the whole node: it is down, cannot be reached, or does not accept the agent.
 * Every call would fail then, so only one in a while is made, for whichever flight is next, to learn of its end. An outage
 * begins when the calls of {@value #IDENTITIES} identities have failed in a row: trouble with one identity alone is
 * no outage. It ends with the first call that EKS Auth answers, even by a refusal. Confined to the event loop.
 */
final class Outage {

    static final int IDENTITIES = 3;
    /** An SDK waits at least 0.9 s for an answer: time to meet an attempt, and for the calls that then go ahead. */
    private static final Duration LONGEST_INTERVAL = Duration.ofMillis(500);

    /** The identities whose calls have failed since EKS Auth answered last; no more than make an outage. */
    private final Set<Identity> failing = new HashSet<>();
    private long since;
    private long nextAt;

    /** Whether there is one now. */
    boolean lasts() {
        return failing.size() == IDENTITIES;
    }

    /**
     * The time until the next call may be made, in nanoseconds; 0 or less if it may be made now.
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
