package dev.podidentity.agent.token;

import java.util.Objects;
import java.util.Optional;

/**
 * The claims that a token proves, by a verified signature or by a review of the API server. A test ensures that only this
 * package and the client of the API server create them. No value is empty.
 *
 * @param issuer who issued the token
 * @param namespace the pod's namespace
 * @param serviceAccount the service account's name
 * @param serviceAccountUid the service account's UID, because names can be reused
 * @param pod the pod's name
 * @param podUid the pod's UID
 * @param node the name of the node on which the pod runs, if the cluster includes it in tokens
 */
public record VerifiedClaims(
        String issuer,
        String namespace,
        String serviceAccount,
        String serviceAccountUid,
        String pod,
        String podUid,
        Optional<String> node)
        implements Verification {

    public VerifiedClaims {
        present(issuer, "issuer");
        present(namespace, "namespace");
        present(serviceAccount, "serviceAccount");
        present(serviceAccountUid, "serviceAccountUid");
        present(pod, "pod");
        present(podUid, "podUid");
        Objects.requireNonNull(node, "node");
    }

    /**
     * Written out, because a native executable interprets these methods of a record, and each cache hit compares verdicts.
     */
    @Override
    public boolean equals(Object other) {
        return this == other
                || other instanceof VerifiedClaims that
                        && podUid.equals(that.podUid)
                        && pod.equals(that.pod)
                        && serviceAccountUid.equals(that.serviceAccountUid)
                        && serviceAccount.equals(that.serviceAccount)
                        && namespace.equals(that.namespace)
                        && issuer.equals(that.issuer)
                        && node.equals(that.node);
    }

    @Override
    public int hashCode() {
        return podUid.hashCode();
    }

    private static void present(String value, String name) {
        if (value == null || value.isEmpty()) {
            throw new IllegalArgumentException(name + " must not be empty");
        }
    }
}
