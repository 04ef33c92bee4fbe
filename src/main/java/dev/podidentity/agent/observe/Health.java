package dev.podidentity.agent.observe;

import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BooleanSupplier;

/**
 * Whether the agent is ready for pods. EKS Auth has no part in it: while it is down the cache keeps pods alive, and a
 * restart would lose it.
 */
public final class Health {

    private final BooleanSupplier listening;
    private final BooleanSupplier credentials;
    private final Clock clock;
    private final Instant graceEnds;
    private volatile boolean stopping;

    /**
     * @param listening whether every required listener is bound
     * @param credentials whether the agent has AWS credentials of its own
     * @param grace time from now within which it need not have them
     */
    public Health(BooleanSupplier listening, BooleanSupplier credentials, Duration grace, Clock clock) {
        this.listening = listening;
        this.credentials = credentials;
        this.clock = clock;
        this.graceEnds = clock.instant().plus(grace);
    }

    /** From now on the agent is not ready. Any thread. */
    public void stopping() {
        stopping = true;
    }

    /** What keeps the agent from being ready; empty if it is. */
    public List<String> unready() {
        List<String> reasons = new ArrayList<>();
        if (stopping) {
            reasons.add("stopping");
        }
        if (!listening.getAsBoolean()) {
            reasons.add("a credentials listener is not bound");
        }
        if (!credentials.getAsBoolean() && !clock.instant().isBefore(graceEnds)) {
            reasons.add("no AWS credentials or region of its own");
        }
        return reasons;
    }
}
