package dev.podidentity.agent.doctor;

import dev.podidentity.agent.outbound.CallFailure;
import java.util.List;

/** Checks that an agent runs on the pod's node, and is ready. */
final class AgentOnNodeCheck implements Check {

    private static final String AGENT = "eks-pod-identity-agent";

    private final Pod pod;
    private final Kube kube;

    AgentOnNodeCheck(Pod pod, Kube kube) {
        this.pod = pod;
        this.kube = kube;
    }

    @Override
    public String name() {
        return "agent";
    }

    @Override
    public List<Finding> examine() {
        if (pod.node().isEmpty()) {
            return List.of(Finding.skip("It has not been scheduled to a node yet"));
        }
        String node = pod.node().get();
        try {
            List<Pod> agents = kube.get("/api/v1/pods?fieldSelector=spec.nodeName%3D" + node)
                    .map(list -> new Tree(list).at("items").each().stream().map(Pod::new).toList())
                    .orElse(List.of())
                    .stream()
                    .filter(other -> other.node().equals(pod.node()) && isAgent(other))
                    .toList();
            if (agents.isEmpty()) {
                return List.of(Finding.fail("No agent runs on node " + node,
                        "Find out why the DaemonSet eks-pod-identity-agent has no pod there: its affinity, its tolerations,"
                                + " room on the node"));
            }
            return agents.stream().map(AgentOnNodeCheck::finding).toList();
        } catch (CallFailure failure) {
            return List.of(Finding.skip(failure.getMessage(), "Run doctor with permission to list pods of all namespaces"));
        }
    }

    /**
     * The charts of this agent and of the reference always give the container this name. The label depends on their values, and on
     * the DaemonSet: it is eks-pod-identity-agent-hybrid on hybrid nodes.
     */
    private static boolean isAgent(Pod pod) {
        return AGENT.equals(pod.labels().get("app.kubernetes.io/name"))
                || pod.containers().stream().anyMatch(container -> container.name().equals(AGENT));
    }

    private static Finding finding(Pod agent) {
        boolean ready = agent.object().at("status", "conditions").each().stream().anyMatch(condition ->
                condition.at("type").value() instanceof String type && type.equals("Ready")
                        && condition.at("status").value() instanceof String status && status.equals("True"));
        String who = "The agent " + agent.namespace() + "/" + agent.name() + " on its node";
        return ready
                ? Finding.ok(who + " is ready")
                : Finding.fail(who + " is not ready (" + agent.phase() + ")",
                        "Check it: kubectl -n " + agent.namespace() + " exec " + agent.name() + " -- /eks-pod-identity-agent"
                                + " doctor");
    }
}
