package dev.podidentity.agent.cli;

import java.util.Map;
import java.util.Optional;

/**
 * What {@code doctor} must check: this node, if neither a pod nor IRSA is requested.
 *
 * @param pod as {@code NAMESPACE/NAME}
 * @param association whether to check the pod's association and role in AWS
 * @param irsa whether to list what still uses IAM roles for service accounts
 * @param json whether to report in JSON
 * @param kubeconfig overrides the environment's kubeconfig
 * @param context overrides the kubeconfig's current context
 * @param given the flags of {@code server} that were passed, by property
 */
public record DoctorRequest(
        Optional<String> pod,
        boolean association,
        boolean irsa,
        boolean json,
        Optional<String> kubeconfig,
        Optional<String> context,
        Map<String, String> given) {}
