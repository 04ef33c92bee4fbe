package dev.podidentity.agent.token;

import dev.podidentity.agent.token.ServiceAccountToken.WorkloadClaims;
import dev.podidentity.agent.token.TokenReader.Reading;
import java.util.Optional;

/**
 * A token that is rejected without a call to EKS Auth.
 *
 * @param kind what is wrong with it
 * @param message what is wrong and what to do, for the person who runs the pod; contains nothing of the token
 * @param workload the workload that it names, if that could be read
 */
public record RejectedToken(Kind kind, String message, Optional<WorkloadClaims> workload) implements Reading, Verification {

    public enum Kind {
        /** Not a token, or not one that the API server could have issued for EKS Pod Identity. */
        INVALID,
        /** A token that has expired. */
        EXPIRED,
        /** A genuine token that is not allowed here: of a pod of another node, or of a deleted pod. */
        FORBIDDEN
    }

    public RejectedToken(Kind kind, String message) {
        this(kind, message, Optional.empty());
    }

    RejectedToken naming(WorkloadClaims claims) {
        return new RejectedToken(kind, message, Optional.of(claims));
    }

    public static RejectedToken invalid(String message) {
        return new RejectedToken(Kind.INVALID, message);
    }

    public static RejectedToken forbidden(String message) {
        return new RejectedToken(Kind.FORBIDDEN, message);
    }

    /** Returns the rejection of the token of a deleted pod. */
    public static RejectedToken podGone() {
        return forbidden("The token's pod no longer exists on this node: only its own pod may use a token");
    }

    public static RejectedToken expired(String message) {
        return new RejectedToken(Kind.EXPIRED, message);
    }

    /** Ends the parsing or verification of a token early. Has no stack trace, because bad tokens are common. */
    public static final class Rejection extends Exception {

        private final RejectedToken rejected;

        Rejection(RejectedToken rejected) {
            super(rejected.message(), null, false, false);
            this.rejected = rejected;
        }

        public static Rejection invalid(String message) {
            return new Rejection(RejectedToken.invalid(message));
        }

        Rejection naming(WorkloadClaims claims) {
            return new Rejection(rejected.naming(claims));
        }

        public RejectedToken rejected() {
            return rejected;
        }
    }
}
