package dev.podidentity.agent.observe;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BooleanSupplier;
import java.util.function.LongSupplier;

/**
 * Whether the agent is ready for pods. EKS Auth has no part in it: while it is down the cache keeps pods alive, and a
 * restart would lose it.
 */
public final class Health {

    private final BooleanSupplier listening;
    private final BooleanSupplier credentials;
    private final LongSupplier nanos;
    private final long began;
    private final long grace;
    private volatile boolean stopping;

    /**
     * @param listening whether every required listener is bound
     * @param credentials whether the agent has AWS credentials of its own
     * @param grace time from now within which it need not have them
     * @param nanos the monotonic clock
     */
    public Health(BooleanSupplier listening, BooleanSupplier credentials, Duration grace, LongSupplier nanos) {
        this.listening = listening;
        this.credentials = credentials;
        this.nanos = nanos;
        this.began = nanos.getAsLong();
        this.grace = grace.toNanos();
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
        if (!credentials.getAsBoolean() && nanos.getAsLong() - began >= grace) {
            reasons.add("no AWS credentials or region of its own");
        }
        return reasons;
    }
}
