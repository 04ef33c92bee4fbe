package dev.podidentity.agent.observe;

import java.util.function.BooleanSupplier;

/**
 * The observable state of a listener.
 *
 * @param listener what it serves: credentials, probes or metrics
 * @param address the configured address and port
 * @param up whether it is bound
 * @param shared whether another process listens on the same address and port
 * @param required whether it must be bound, because this node has the address or may get it
 */
public record ListenerState(String listener, String address, BooleanSupplier up, BooleanSupplier shared, BooleanSupplier required) {}
