package dev.podidentity.agent.cli;

import java.util.Map;
import java.util.Optional;

/**
 * What {@code doctor} is asked to examine: this node if neither a pod nor IRSA is named.
 *
 * @param pod as {@code NAMESPACE/NAME}
 * @param association whether to ask AWS for the pod's association and role
 * @param irsa whether to list what still uses IAM roles for service accounts
 * @param json whether to report in JSON
 * @param kubeconfig the file to use in place of the one of the environment
 * @param context of the kubeconfig, in place of its current one
 * @param given the flags of {@code server} that were given, by their properties
 */
public record DoctorRequest(
        Optional<String> pod,
        boolean association,
        boolean irsa,
        boolean json,
        Optional<String> kubeconfig,
        Optional<String> context,
        Map<String, String> given) {}
