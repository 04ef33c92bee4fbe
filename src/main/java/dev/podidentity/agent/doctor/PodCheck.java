package dev.podidentity.agent.doctor;

import java.util.List;

/** Shows which pod is checked. */
final class PodCheck implements Check {

    private final Pod pod;

    PodCheck(Pod pod) {
        this.pod = pod;
    }

    @Override
    public String name() {
        return "pod";
    }

    @Override
    public List<Finding> examine() {
        String seen = "The pod " + pod.namespace() + "/" + pod.name() + " of service account " + pod.serviceAccount();
        return List.of(pod.node()
                .map(node -> Finding.ok(seen + " is on node " + node + " (" + pod.phase() + ")"))
                .orElseGet(() -> Finding.warn(seen + " has not been scheduled (" + pod.phase() + ")",
                        "See its events: kubectl -n " + pod.namespace() + " describe pod " + pod.name())));
    }
}
