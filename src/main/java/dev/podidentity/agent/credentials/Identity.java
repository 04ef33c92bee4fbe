package dev.podidentity.agent.credentials;

import dev.podidentity.agent.token.ServiceAccountToken;
import dev.podidentity.agent.token.TokenFingerprint;
import java.util.Objects;
import java.util.Optional;

/**
 * The key of the cache, of single flights and of remembered failures: whose credentials an entry holds. A request gets an
 * entry only through an identity that it has proven. The two forms are never equal to each other.
 */
public sealed interface Identity {

    /** The identity of a token whose signature the agent has not verified: this exact token, regardless of its claims. */
    static Identity of(ServiceAccountToken token) {
        return new ExactToken(token.fingerprint());
    }

    /**
     * The holder of this exact token.
     *
     * @param fingerprint of the token
     */
    record ExactToken(TokenFingerprint fingerprint) implements Identity {

        public ExactToken {
            Objects.requireNonNull(fingerprint, "fingerprint");
        }

        /** Written out, because a native executable interprets these methods of a record, and every request uses them. */
        @Override
        public boolean equals(Object other) {
            return other instanceof ExactToken that && fingerprint.equals(that.fingerprint);
        }

        @Override
        public int hashCode() {
            return fingerprint.hashCode();
        }
    }

    /**
     * A workload that a token has proven with a verified signature. Only a verifier may create one.
     *
     * @param issuer the cluster's issuer
     * @param namespace the namespace
     * @param serviceAccount the service account's name
     * @param serviceAccountUid the service account's UID, because names can be reused
     * @param podUid the pod's UID, if the pods of a service account do not share
     */
    record VerifiedWorkload(
            String issuer, String namespace, String serviceAccount, String serviceAccountUid, Optional<String> podUid)
            implements Identity {

        public VerifiedWorkload {
            Objects.requireNonNull(issuer, "issuer");
            Objects.requireNonNull(namespace, "namespace");
            Objects.requireNonNull(serviceAccount, "serviceAccount");
            Objects.requireNonNull(serviceAccountUid, "serviceAccountUid");
            Objects.requireNonNull(podUid, "podUid");
        }

        /** Written out for the same reason; compares first what differs most often. */
        @Override
        public boolean equals(Object other) {
            return other instanceof VerifiedWorkload that
                    && serviceAccountUid.equals(that.serviceAccountUid)
                    && podUid.equals(that.podUid)
                    && serviceAccount.equals(that.serviceAccount)
                    && namespace.equals(that.namespace)
                    && issuer.equals(that.issuer);
        }

        @Override
        public int hashCode() {
            return 31 * serviceAccountUid.hashCode() + podUid.hashCode();
        }
    }
}
