package dev.podidentity.agent.credentials;

import dev.podidentity.agent.token.ServiceAccountToken.WorkloadClaims;
import java.time.Instant;
import java.util.Optional;

/**
 * What the debug routes show of a cache entry. Holds no secret.
 *
 * @param namespace the namespace
 * @param serviceAccount the service account's name
 * @param podName the pod's name, if pods do not share; a claim if the token was not verified
 * @param podUid the pod's UID, likewise
 * @param pods how many known pods share it
 * @param role the ARN of the assumed role's session
 * @param expiration when the credentials expire
 * @param nextRenewal when they are due for renewal; empty if nothing will renew them
 * @param lastFailure the last failed call since the entry was created
 * @param hits requests served from the cache since the entry was created
 */
public record CachedIdentity(
        String namespace,
        String serviceAccount,
        Optional<String> podName,
        Optional<String> podUid,
        int pods,
        String role,
        Instant expiration,
        Optional<Instant> nextRenewal,
        Optional<FailedCall> lastFailure,
        long hits) {

    /**
     * An identity with its position in the order of creation.
     *
     * @param number higher than that of every earlier entry
     * @param identity the identity
     */
    public record Numbered(long number, CachedIdentity identity) {}

    /** @param pods the pods that share it: exactly one, unless the identity is a verified workload */
    static CachedIdentity of(
            Identity identity,
            PodTokens pods,
            Credentials credentials,
            Optional<Instant> nextRenewal,
            Optional<FailedCall> lastFailure,
            long hits) {
        Optional<WorkloadClaims> claims = pods.all().stream().findFirst().map(caller -> caller.token().claims());
        boolean shared = identity instanceof Identity.VerifiedWorkload workload && workload.podUid().isEmpty();
        // All tokens of an entry name the same service account, which was verified by the agent or by EKS Auth.
        return new CachedIdentity(
                claims.map(WorkloadClaims::namespace).orElse(""),
                claims.map(WorkloadClaims::serviceAccount).orElse(""),
                shared ? Optional.empty() : claims.map(WorkloadClaims::pod).filter(name -> !name.isEmpty()),
                shared ? Optional.empty() : claims.map(WorkloadClaims::podUid).filter(uid -> !uid.isEmpty()),
                pods.size(),
                credentials.role(),
                credentials.expiration(),
                nextRenewal,
                lastFailure,
                hits);
    }
}
