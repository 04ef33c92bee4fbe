package dev.podidentity.agent.observe;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BooleanSupplier;
import java.util.function.LongSupplier;

/**
 * Decides whether the agent is ready for pods. The state of EKS Auth does not count: during an outage the cache keeps pods
 * running, and a restart would lose it.
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
     * @param credentials whether the agent has its own AWS credentials
     * @param grace the startup grace period, during which it may lack them
     * @param nanos a monotonic clock
     */
    public Health(BooleanSupplier listening, BooleanSupplier credentials, Duration grace, LongSupplier nanos) {
        this.listening = listening;
        this.credentials = credentials;
        this.nanos = nanos;
        this.began = nanos.getAsLong();
        this.grace = grace.toNanos();
    }

    /** Makes the agent not ready from now on. Any thread. */
    public void stopping() {
        stopping = true;
    }

    /** Returns why the agent is not ready; empty if it is ready. */
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
