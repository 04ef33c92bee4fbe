package dev.podidentity.agent.cluster;

import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * What the agent needs to know of a pod, as the API server reports it.
 *
 * @param uid the pod's UID; empty if it is missing
 * @param node the node's name, if the server sent more than metadata
 * @param phase the pod's phase, if the server sent more than metadata
 */
record SeenPod(String uid, Optional<String> node, Optional<String> phase) {

    private static final Set<String> FINISHED = Set.of("Succeeded", "Failed");

    /** The paths of these values, below the pod's own path. */
    static final Set<String> PATHS = Set.of("/metadata/uid", "/spec/nodeName", "/status/phase");

    static SeenPod of(Map<String, String> values, String path) {
        return new SeenPod(
                values.getOrDefault(path + "/metadata/uid", ""),
                Optional.ofNullable(values.get(path + "/spec/nodeName")),
                Optional.ofNullable(values.get(path + "/status/phase")));
    }

    /**
     * Returns whether the pod lives on a node. The request selects such pods, so missing values are assumed to match; but
     * some servers of the API do not support selection by these fields.
     */
    boolean livesOn(String name) {
        return mayBeOn(name) && phase.map(now -> !FINISHED.contains(now)).orElse(true);
    }

    /** Returns whether the pod is or was on a node. */
    boolean mayBeOn(String name) {
        return !uid.isEmpty() && node.map(name::equals).orElse(true);
    }
}
