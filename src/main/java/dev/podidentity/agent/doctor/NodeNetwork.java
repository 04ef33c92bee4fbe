package dev.podidentity.agent.doctor;

import dev.podidentity.agent.network.ImdsHops;
import dev.podidentity.agent.network.LinkState;
import java.io.IOException;
import java.util.Optional;

/**
 * The state of this node's network, as reported by the kernel.
 *
 * @param link the state of the agent's link; empty if it is unknown
 * @param unknown why it is unknown
 */
record NodeNetwork(Optional<LinkState> link, String unknown, ImdsHops.Reach imds) {

    /** Asks the kernel. For the main thread, before other threads exist. */
    static NodeNetwork read() {
        ImdsHops.Reach imds = ImdsHops.look();
        try {
            return new NodeNetwork(LinkState.read(), "Only the native executable can check this, not a JVM", imds);
        } catch (IOException e) {
            return new NodeNetwork(Optional.empty(), "The kernel does not report it: " + e.getMessage(), imds);
        }
    }
}
