package dev.podidentity.agent.cluster;

import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * What is needed of a pod, as the API server shows it.
 *
 * @param uid empty if it is missing
 * @param node the node's name, where more than the metadata came
 * @param phase where more than the metadata came
 */
record SeenPod(String uid, Optional<String> node, Optional<String> phase) {

    private static final Set<String> FINISHED = Set.of("Succeeded", "Failed");

    /** The values that make one, below the pod's own path. */
    static final Set<String> PATHS = Set.of("/metadata/uid", "/spec/nodeName", "/status/phase");

    static SeenPod of(Map<String, String> values, String path) {
        return new SeenPod(
                values.getOrDefault(path + "/metadata/uid", ""),
                Optional.ofNullable(values.get(path + "/spec/nodeName")),
                Optional.ofNullable(values.get(path + "/status/phase")));
    }

    /**
     * Whether it lives on a node. The API server was asked for such pods only, and what it does not show is taken to be so;
     * but not every server that speaks its language selects by these fields.
     */
    boolean livesOn(String name) {
        return mayBeOn(name) && phase.map(now -> !FINISHED.contains(now)).orElse(true);
    }

    /** Whether it is, or was, on a node. */
    boolean mayBeOn(String name) {
        return !uid.isEmpty() && node.map(name::equals).orElse(true);
    }
}
