package dev.podidentity.agent.cluster;

import dev.podidentity.agent.apiserver.ApiAnswer;
import dev.podidentity.agent.outbound.CallFailure;

/**
 * A permission that the agent's service account needs, and the failure message if it is missing.
 *
 * @param purpose what the permission is for, to follow "may not"
 * @param rule the rule that grants it
 */
record Permission(String purpose, String rule) {

    static final Permission READ_KEYS = new Permission(
            "read the cluster's keys",
            "nonResourceURLs /openid/v1/jwks with the verb get, as the ClusterRole"
                    + " system:service-account-issuer-discovery has it");
    static final Permission READ_ISSUER = new Permission(
            "read the cluster's issuer, which its own token does not name",
            "nonResourceURLs /.well-known/openid-configuration with the verb get, as the ClusterRole"
                    + " system:service-account-issuer-discovery has it");
    static final Permission REVIEW_TOKENS = new Permission(
            "have tokens reviewed", "apiGroups authentication.k8s.io, resources tokenreviews with the verb create");
    static final Permission WATCH_PODS = new Permission(
            "watch the pods of this node", "apiGroups \"\", resources pods with the verbs list and watch");

    /** Returns the failure that a bad response means. */
    CallFailure missing(ApiAnswer answer) {
        // The reason names the service account, or the admission policy that rejects what a role allows.
        String reason = answer.reason().isEmpty() ? "" : ". The API server says: \"" + answer.reason() + '"';
        return answer.refused()
                ? new CallFailure("The agent may not " + purpose + " (HTTP " + answer.status()
                        + "): give its service account a role with " + rule + reason, true)
                : new CallFailure("The API server does not let the agent " + purpose + " now: it responds with HTTP "
                        + answer.status() + reason, false);
    }
}
