package dev.podidentity.agent.token;

/**
 * Nobody here can say whose a token is. It stands for itself and nothing that it claims: EKS Auth judges it.
 *
 * @param reason why
 */
public record NotVerified(Reason reason) implements Verification {

    public enum Reason {
        /** Verification is off. */
        OFF,
        /** No keys have come yet, or the last good ones are too old. */
        NO_KEYS,
        /** The keys are good, but none of them has the token's {@code kid}. */
        UNKNOWN_KEY,
        /** The API server has not answered, or not in time. */
        API_SERVER,
        /** The API server does not let the agent ask. */
        NOT_PERMITTED,
        /** Too many tokens wait to be verified, or have been asked about. */
        LIMIT,
        /** Verifying it went wrong in a way that nobody thought of; the log says how. */
        ERROR,
        /** It is genuine, but not bound to a pod, so that EKS Auth alone knows what to make of it. */
        NO_POD,
        /** One of the cluster's keys has signed it, but for another issuer: the API server has several. */
        OTHER_ISSUER
    }

    /** Written out, as a native executable interprets a record's own, and each cache hit compares verdicts. */
    @Override
    public boolean equals(Object other) {
        return other instanceof NotVerified that && reason == that.reason;
    }

    @Override
    public int hashCode() {
        return reason.hashCode();
    }
}
