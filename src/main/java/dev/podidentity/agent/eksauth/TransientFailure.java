package dev.podidentity.agent.eksauth;

import dev.podidentity.agent.observe.UpstreamFailure;

/**
 * A failure that may be gone at the next call.
 *
 * @param reason the kind of failure
 * @param message what to do if it persists
 * @param said what EKS Auth itself said
 */
public record TransientFailure(Reason reason, String message, Said said) implements EksAuthFailure {

    public TransientFailure(Reason reason, String message) {
        this(reason, message, Said.NOTHING);
    }

    public enum Reason {
        THROTTLED("ThrottlingException", UpstreamFailure.THROTTLED),
        INTERNAL("InternalServerException", UpstreamFailure.INTERNAL),
        UNAVAILABLE("ServiceUnavailableException", UpstreamFailure.UNAVAILABLE),
        /** No response within the timeout of a call. */
        TIMED_OUT("ServiceUnavailableException", UpstreamFailure.TIMEOUT),
        /** The host name does not resolve. */
        NO_ADDRESS("ServiceUnavailableException", UpstreamFailure.DNS),
        /** Nothing listens at the address, or there is no route to it. */
        UNREACHABLE("ServiceUnavailableException", UpstreamFailure.CONNECT),
        /** The certificate is not trusted, or the server does not speak TLS. */
        TLS("ServiceUnavailableException", UpstreamFailure.TLS),
        /** The connection was lost before the response was complete. */
        BROKEN("ServiceUnavailableException", UpstreamFailure.CONNECTION_BROKEN),
        /** The response is not one of EKS Auth, or lacks a part. */
        BAD_ANSWER("InternalServerException", UpstreamFailure.BAD_ANSWER),
        /** The agent has not found an AWS region or its own credentials yet, so no call was made. */
        NOT_READY("ServiceUnavailableException", UpstreamFailure.NOT_READY),
        /** EKS Auth does not accept the agent's own AWS credentials. */
        AGENT_CREDENTIALS("ServiceUnavailableException", UpstreamFailure.AGENT_CREDENTIALS),
        /** EKS Auth accepts the agent's own AWS credentials, but the agent's role lacks the permission to call it. */
        AGENT_PERMISSION("ServiceUnavailableException", UpstreamFailure.AGENT_PERMISSION);

        private final String code;
        private final UpstreamFailure counted;

        Reason(String code, UpstreamFailure counted) {
            this.code = code;
            this.counted = counted;
        }

        /** Returns the failure as it is counted in the metrics. */
        public UpstreamFailure counted() {
            return counted;
        }
    }

    @Override
    public String code() {
        return reason.code;
    }
}
