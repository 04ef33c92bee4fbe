package dev.podidentity.agent.doctor;

import java.util.List;

/** Checks whether the pod runs on the host network. */
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
                ? Finding.warn("It runs on the host network: it reaches IMDS, and thereby the node's role, regardless of the"
                + " hop limit; and it shares the node's source address in the agent's limits",
                        "Set hostNetwork to false, unless the pod needs it")
                : Finding.ok("It does not run on the host network"));
    }
}
