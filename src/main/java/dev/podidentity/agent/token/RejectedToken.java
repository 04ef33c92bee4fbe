package dev.podidentity.agent.token;

import java.util.Optional;

/**
 * Why a token is not worth a call to EKS Auth.
 *
 * @param kind what is wrong with it
 * @param message a sentence for the person who runs the pod: what is wrong and what to do; holds nothing of the token
 * @param workload what it names, if that could be read
 */
public record RejectedToken(Kind kind, String message, Optional<WorkloadClaims> workload) implements TokenReading, Verification {

    public enum Kind {
        /** No token, or not one that the API server could have issued for EKS Pod Identity. */
        INVALID,
        /** A token that was good once. */
        EXPIRED,
        /** A genuine token that is no good here: of a pod of another node, or of a pod that is gone. */
        FORBIDDEN
    }

    public RejectedToken(Kind kind, String message) {
        this(kind, message, Optional.empty());
    }

    RejectedToken naming(WorkloadClaims claims) {
        return new RejectedToken(kind, message, Optional.of(claims));
    }

    static RejectedToken invalid(String message) {
        return new RejectedToken(Kind.INVALID, message);
    }

    static RejectedToken forbidden(String message) {
        return new RejectedToken(Kind.FORBIDDEN, message);
    }

    /** The token of a pod that is known to be gone. */
    public static RejectedToken podGone() {
        return forbidden("The token's pod is gone from this node: only its own pod may use a token");
    }

    static RejectedToken expired(String message) {
        return new RejectedToken(Kind.EXPIRED, message);
    }
}
