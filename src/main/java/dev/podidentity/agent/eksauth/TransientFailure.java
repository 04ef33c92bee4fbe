package dev.podidentity.agent.eksauth;

/**
 * Trouble that may be gone at the next call.
 *
 * @param reason the kind of trouble
 * @param message what to do if it stays
 */
public record TransientFailure(Reason reason, String message) implements EksAuthFailure {

    public enum Reason {
        THROTTLED("ThrottlingException"),
        INTERNAL("InternalServerException"),
        UNAVAILABLE("ServiceUnavailableException"),
        /** No answer within the time that a call may take. */
        TIMED_OUT("ServiceUnavailableException"),
        /** The host name has no address, or nothing answers there. */
        UNREACHABLE("ServiceUnavailableException"),
        /** An answer that is not one of EKS Auth, or lacks a part. */
        BAD_ANSWER("InternalServerException"),
        /** The agent has no AWS region, or no credentials of its own, yet: no call was made. */
        NOT_READY("ServiceUnavailableException"),
        /** The agent's own AWS credentials are not accepted. */
        AGENT_CREDENTIALS("ServiceUnavailableException");

        private final String code;

        Reason(String code) {
            this.code = code;
        }
    }

    @Override
    public String code() {
        return reason.code;
    }
}
