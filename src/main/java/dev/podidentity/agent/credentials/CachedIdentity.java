package dev.podidentity.agent.credentials;

import dev.podidentity.agent.token.ServiceAccountToken.WorkloadClaims;
import java.time.Instant;
import java.util.Optional;

/**
 * What an entry of the cache shows to somebody who looks inside the agent. Holds no secret.
 *
 * @param namespace the namespace
 * @param serviceAccount the service account's name
 * @param podName the pod's name, where pods do not share; one that was not verified is the token's claim
 * @param podUid the pod's UID, likewise
 * @param pods how many known pods share it
 * @param role the ARN of the assumed role's session
 * @param expiration when the credentials expire
 * @param nextRenewal when they are to be renewed; empty if nothing will renew them
 * @param lastFailure the last call for them that failed, since they came
 * @param hits how many requests were served from the cache, since the entry came
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
     * One of them, and its place in the order in which they came.
     *
     * @param number higher than that of each one that came before
     * @param identity what it shows
     */
    public record Numbered(long number, CachedIdentity identity) {}

    /** @param pods that share it: the only one, unless it is of a verified workload */
    static CachedIdentity of(
            Identity identity,
            PodTokens pods,
            Credentials credentials,
            Optional<Instant> nextRenewal,
            Optional<FailedCall> lastFailure,
            long hits) {
        Optional<WorkloadClaims> claims = pods.all().stream().findFirst().map(caller -> caller.token().claims());
        boolean shared = identity instanceof Identity.VerifiedWorkload workload && workload.podUid().isEmpty();
        // All tokens of an entry name the same service account: it was verified, or EKS Auth has said so.
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
