package dev.podidentity.agent.token;

import java.util.Objects;
import java.util.Optional;

/**
 * What a token proves, by a signature that was verified or by the API server's word: only this package and what asks
 * the API server may make one, which a test keeps so. No value is empty.
 *
 * @param issuer who issued the token
 * @param namespace the pod's namespace
 * @param serviceAccount the service account's name
 * @param serviceAccountUid the service account's UID, as a name can be given anew
 * @param pod the pod's name
 * @param podUid the pod's UID
 * @param node the name of the node that the pod runs on, where the cluster puts it into tokens
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

    /** Written out, as a native executable interprets a record's own, and each cache hit compares verdicts. */
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
