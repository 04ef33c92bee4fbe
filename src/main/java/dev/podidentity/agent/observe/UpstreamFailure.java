package dev.podidentity.agent.observe;

import java.util.Locale;

/** What kept a call to EKS Auth from giving an answer that stays: a metric's label. */
public enum UpstreamFailure {
    /** The host name has no address. */
    DNS,
    /** Nothing takes a connection there, or no route leads there. */
    CONNECT,
    /** The certificate is not trusted, or what answers does not speak TLS. */
    TLS,
    /** No answer in time. */
    TIMEOUT,
    /** The connection broke before the answer was complete. */
    CONNECTION_BROKEN,
    /** The answer cannot be used. */
    BAD_ANSWER,
    /** EKS Auth throttles. */
    THROTTLED,
    /** EKS Auth has an internal error. */
    INTERNAL,
    /** EKS Auth says that it is unavailable. */
    UNAVAILABLE,
    /** The agent has no AWS region or credentials of its own yet: no call was made. */
    NOT_READY,
    /** The agent's own AWS credentials are not accepted. */
    AGENT_CREDENTIALS,
    /** The agent's own AWS credentials are accepted, but its role may not make the call. */
    AGENT_PERMISSION;

    /** The label's value. */
    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}
