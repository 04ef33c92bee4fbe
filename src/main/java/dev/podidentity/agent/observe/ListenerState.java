package dev.podidentity.agent.observe;

import java.util.function.BooleanSupplier;

/**
 * What is watched of a listener.
 *
 * @param listener what it serves: credentials, probes or metrics
 * @param address the configured address and port
 * @param up whether it is bound
 * @param shared whether another process listens on the same address and port
 * @param required whether it has to be bound, as this node has the address, or may have it
 */
public record ListenerState(String listener, String address, BooleanSupplier up, BooleanSupplier shared, BooleanSupplier required) {}
