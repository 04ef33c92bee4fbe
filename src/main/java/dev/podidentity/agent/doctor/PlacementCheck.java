package dev.podidentity.agent.doctor;

import dev.podidentity.agent.outbound.CallFailure;
import io.vertx.core.json.JsonObject;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Checks that EKS Pod Identity supports the pod's kind of node. */
final class PlacementCheck implements Check {

    private final Pod pod;
    private final Kube kube;

    PlacementCheck(Pod pod, Kube kube) {
        this.pod = pod;
        this.kube = kube;
    }

    @Override
    public String name() {
        return "placement";
    }

    @Override
    public List<Finding> examine() {
        if (pod.labels().containsKey("eks.amazonaws.com/fargate-profile")) {
            return List.of(fargate());
        }
        if (pod.object().at("spec", "os", "name").text().equals(Optional.of("windows"))) {
            return List.of(windows());
        }
        if (pod.node().isEmpty()) {
            return List.of(Finding.skip("It has not been scheduled to a node yet"));
        }
        try {
            Optional<JsonObject> node = kube.get("/api/v1/nodes/" + pod.node().get());
            return List.of(node.map(found -> onNode(new Tree(found).at("metadata", "labels").texts()))
                    .orElseGet(() -> Finding.warn("Its node " + pod.node().get() + " is gone", "Delete the pod")));
        } catch (CallFailure failure) {
            return List.of(Finding.skip(failure.getMessage(), "Run doctor with permission to get nodes"));
        }
    }

    private static Finding onNode(Map<String, String> labels) {
        String compute = labels.getOrDefault("eks.amazonaws.com/compute-type", "");
        if (compute.equals("fargate")) {
            return fargate();
        }
        if (labels.getOrDefault("kubernetes.io/os", "").equals("windows")) {
            return windows();
        }
        return switch (compute) {
            case "auto" -> Finding.ok("Its node is one of EKS Auto Mode, which has an agent of its own");
            case "hybrid" -> Finding.ok("Its node is a hybrid one");
            default -> Finding.ok("The agent supports its node");
        };
    }

    private static Finding fargate() {
        return Finding.fail("It runs on Fargate, which has no DaemonSets and therefore no agent", "Use IAM roles for service"
                + " accounts (IRSA) there");
    }

    private static Finding windows() {
        return Finding.fail("It runs on Windows, which EKS Pod Identity does not support", "Use IAM roles for service"
                + " accounts (IRSA) there");
    }
}
