package dev.podidentity.agent.credentials;

import dev.podidentity.agent.token.ServiceAccountToken;
import dev.podidentity.agent.token.TokenFingerprint;
import java.util.Objects;
import java.util.Optional;

/**
 * Whose credentials an entry holds: the key of the cache, of single flight and of remembered failures. A request gets
 * an entry only by an identity that it has shown: the two forms are never equal to each other.
 */
public sealed interface Identity {

    /** The identity of a token whose signature nobody here has verified: that very token, and nothing it claims. */
    static Identity of(ServiceAccountToken token) {
        return new ExactToken(token.fingerprint());
    }

    /**
     * Whoever holds this exact token.
     *
     * @param fingerprint of the token
     */
    record ExactToken(TokenFingerprint fingerprint) implements Identity {

        public ExactToken {
            Objects.requireNonNull(fingerprint, "fingerprint");
        }

        /** Written out, as a native executable interprets what a record has by itself, and every request looks one up. */
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
     * A workload that a token proved, by a signature that was verified. Only a verifier may make one.
     *
     * @param issuer the cluster's issuer
     * @param namespace the namespace
     * @param serviceAccount the service account's name
     * @param serviceAccountUid the service account's UID, as a name can be given anew
     * @param podUid the pod's UID, where the pods of one service account do not share
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

        /** Written out for the same reason; first what tells most apart. */
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
