package dev.podidentity.agent.doctor;

import dev.podidentity.agent.network.LinkState;
import dev.podidentity.agent.network.LinkState.OwnLink;
import java.util.List;

/** Checks the link with the agent's addresses. */
final class LinkCheck implements Check {

    static final String INITIALIZE = "Run 'eks-pod-identity-agent initialize' on this node, as the DaemonSet's init container does";

    private final NodeNetwork network;

    LinkCheck(NodeNetwork network) {
        this.network = network;
    }

    @Override
    public String name() {
        return "link";
    }

    @Override
    public List<Finding> examine() {
        return List.of(network.link().map(LinkCheck::finding).orElseGet(() -> Finding.skip(network.unknown())));
    }

    private static Finding finding(LinkState state) {
        if (state.link().isEmpty()) {
            boolean onLoopback = state.addresses().stream().anyMatch(held -> held.ours() && held.address().equals(LinkState.IPV4));
            return onLoopback
                    ? Finding.ok("The addresses are on lo, because the kernel has no dummy links")
                    : Finding.fail("There is no link pod-id-link0", INITIALIZE);
        }
        OwnLink link = state.link().get();
        if (!link.up()) {
            return Finding.fail("The link " + link.name() + " is down", INITIALIZE);
        }
        return link.kind().equals("dummy")
                ? Finding.ok("The link " + link.name() + " is up")
                : Finding.warn("The link " + link.name() + " is up, but is not a dummy link (type "
                                + (link.kind().isEmpty() ? "none" : link.kind()) + ")",
                        "Find out what created it; packets to the agent may leave this node");
    }
}
