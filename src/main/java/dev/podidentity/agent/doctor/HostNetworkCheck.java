package dev.podidentity.agent.doctor;

import java.util.List;

/** Whether the pod is on its node's network. */
final class HostNetworkCheck implements Check {

    private final Pod pod;

    HostNetworkCheck(Pod pod) {
        this.pod = pod;
    }

    @Override
    public String name() {
        return "host-network";
    }

    @Override
    public List<Finding> examine() {
        return List.of(pod.hostNetwork()
                ? Finding.warn("It is on the network of its node: it reaches IMDS, and so the node's role, whatever the hop limit; and it"
                                + " shares the node's source address in the agent's limits",
                        "Set hostNetwork to false, unless it needs it")
                : Finding.ok("It has a network of its own"));
    }
}
