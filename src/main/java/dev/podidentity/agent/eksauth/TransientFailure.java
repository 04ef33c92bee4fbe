package dev.podidentity.agent.eksauth;

import dev.podidentity.agent.observe.UpstreamFailure;

/**
 * Trouble that may be gone at the next call.
 *
 * @param reason the kind of trouble
 * @param message what to do if it stays
 * @param said what EKS Auth said itself
 */
public record TransientFailure(Reason reason, String message, Said said) implements EksAuthFailure {

    public TransientFailure(Reason reason, String message) {
        this(reason, message, Said.NOTHING);
    }

    public enum Reason {
        THROTTLED("ThrottlingException", UpstreamFailure.THROTTLED),
        INTERNAL("InternalServerException", UpstreamFailure.INTERNAL),
        UNAVAILABLE("ServiceUnavailableException", UpstreamFailure.UNAVAILABLE),
        /** No answer within the time that a call may take. */
        TIMED_OUT("ServiceUnavailableException", UpstreamFailure.TIMEOUT),
        /** The host name has no address. */
        NO_ADDRESS("ServiceUnavailableException", UpstreamFailure.DNS),
        /** Nothing takes a connection at the address, or no route leads there. */
        UNREACHABLE("ServiceUnavailableException", UpstreamFailure.CONNECT),
        /** The certificate is not trusted, or what answers does not speak TLS. */
        TLS("ServiceUnavailableException", UpstreamFailure.TLS),
        /** The connection broke before the answer was complete. */
        BROKEN("ServiceUnavailableException", UpstreamFailure.CONNECTION_BROKEN),
        /** An answer that is not one of EKS Auth, or lacks a part. */
        BAD_ANSWER("InternalServerException", UpstreamFailure.BAD_ANSWER),
        /** The agent has no AWS region, or no credentials of its own, yet: no call was made. */
        NOT_READY("ServiceUnavailableException", UpstreamFailure.NOT_READY),
        /** The agent's own AWS credentials are not accepted. */
        AGENT_CREDENTIALS("ServiceUnavailableException", UpstreamFailure.AGENT_CREDENTIALS),
        /** The agent's own AWS credentials are accepted, but its role lacks the permission to call EKS Auth. */
        AGENT_PERMISSION("ServiceUnavailableException", UpstreamFailure.AGENT_PERMISSION);

        private final String code;
        private final UpstreamFailure counted;

        Reason(String code, UpstreamFailure counted) {
            this.code = code;
            this.counted = counted;
        }

        /** What a call that failed so is counted as. */
        public UpstreamFailure counted() {
            return counted;
        }
    }

    @Override
    public String code() {
        return reason.code;
    }
}
