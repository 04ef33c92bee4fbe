package dev.podidentity.agent.token;

/**
 * The agent cannot verify the token, so only EKS Auth checks it, and credentials are shared only with requests that have the
 * same token.
 *
 * @param reason why
 */
public record NotVerified(Reason reason) implements Verification {

    public enum Reason {
        /** Verification is off. */
        OFF,
        /** No keys have been fetched yet, or the last good ones are too old. */
        NO_KEYS,
        /** The keys are current, but none of them has the token's {@code kid}. */
        UNKNOWN_KEY,
        /** The API server has not responded, or not in time. */
        API_SERVER,
        /** The agent lacks the permission to ask the API server. */
        NOT_PERMITTED,
        /** Too many tokens wait for verification, or have been reviewed. */
        LIMIT,
        /** Verification failed unexpectedly; the log has the details. */
        ERROR,
        /** It is genuine, but not bound to a pod, so only EKS Auth can decide about it. */
        NO_POD,
        /** One of the cluster's keys has signed it, but for another of the API server's issuers. */
        OTHER_ISSUER
    }

    /**
     * Written out, because a native executable interprets these methods of a record, and each cache hit compares verdicts.
     */
    @Override
    public boolean equals(Object other) {
        return other instanceof NotVerified that && reason == that.reason;
    }

    @Override
    public int hashCode() {
        return reason.hashCode();
    }
}
