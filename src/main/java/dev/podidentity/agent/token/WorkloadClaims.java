package dev.podidentity.agent.token;

/**
 * The workload that a token names, not verified. Anything may stand here but control characters, which the reader
 * replaces, so that a value can be logged; {@code ""} stands for a claim that is absent.
 *
 * @param namespace the pod's namespace
 * @param serviceAccount the service account's name
 * @param pod the pod's name
 * @param podUid the pod's UID
 * @param node the name of the node that the pod runs on
 */
public record WorkloadClaims(String namespace, String serviceAccount, String pod, String podUid, String node) {}
