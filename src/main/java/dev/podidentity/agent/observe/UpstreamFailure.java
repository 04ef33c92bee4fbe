package dev.podidentity.agent.observe;

import java.util.Locale;

/** Why a call to EKS Auth gave no permanent result; a metric label. */
public enum UpstreamFailure {
    /** The host name does not resolve. */
    DNS,
    /** Nothing listens at the address, or there is no route to it. */
    CONNECT,
    /** The certificate is not trusted, or the server does not speak TLS. */
    TLS,
    /** There was no response in time. */
    TIMEOUT,
    /** The connection was lost before the response was complete. */
    CONNECTION_BROKEN,
    /** The response cannot be used. */
    BAD_ANSWER,
    /** EKS Auth throttles the calls. */
    THROTTLED,
    /** EKS Auth reports an internal error. */
    INTERNAL,
    /** EKS Auth reports that it is unavailable. */
    UNAVAILABLE,
    /** The agent has not found an AWS region or its own credentials yet, so no call was made. */
    NOT_READY,
    /** EKS Auth does not accept the agent's own AWS credentials. */
    AGENT_CREDENTIALS,
    /** EKS Auth accepts the agent's own AWS credentials, but the agent's role lacks the permission to call it. */
    AGENT_PERMISSION;

    /** Returns the value of the label. */
    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}
