package dev.podidentity.emulator;

import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.Map;

/**
 * The injected faults. A fault for a token has precedence over those for the next calls, and these over the permanent one.
 */
final class Faults {

    private static final Fault NONE = new Fault.Latency(Duration.ZERO);

    // All guarded by this.
    private final Map<String, Fault> ofToken = new HashMap<>();
    private final Deque<Repeated> next = new ArrayDeque<>();
    private Fault standing = NONE;
    private Gate gate = open();

    synchronized void inject(Fault fault) {
        standing = fault;
    }

    synchronized void inject(Fault fault, int times) {
        if (times < 1) {
            throw new IllegalArgumentException("times must be 1 or more: " + times);
        }
        next.add(new Repeated(fault, times));
    }

    synchronized void injectFor(String token, Fault fault) {
        ofToken.put(token, fault);
    }

    synchronized Gate hold() {
        if (gate.isReleased()) {
            gate = new Gate();
        }
        return gate;
    }

    synchronized Gate gate() {
        return gate;
    }

    void heal() {
        Gate held;
        synchronized (this) {
            ofToken.clear();
            next.clear();
            standing = NONE;
            held = gate;
        }
        held.release();
    }

    /** Returns the fault for a call; uses it up if it was injected for a number of calls. */
    synchronized Fault take(String token) {
        Fault own = ofToken.get(token);
        if (own != null) {
            return own;
        }
        if (next.isEmpty()) {
            return standing;
        }
        Repeated first = next.remove();
        if (first.times() > 1) {
            next.addFirst(new Repeated(first.fault(), first.times() - 1));
        }
        return first.fault();
    }

    private static Gate open() {
        Gate gate = new Gate();
        gate.release();
        return gate;
    }

    private record Repeated(Fault fault, int times) {}
}
