package dev.podidentity.agent.observe;

import java.util.Locale;

/** The result of a request; a metric label. */
public enum RequestOutcome {
    /** Returned credentials. */
    SERVED,
    /** Not a request for credentials: wrong path, method or syntax, or too large. */
    BAD_REQUEST,
    /** The Host header is not one of the agent's. */
    FORBIDDEN_HOST,
    /** Exceeded the limit of its source. */
    LIMITED,
    /** The token is malformed or has expired. */
    BAD_TOKEN,
    /** EKS Auth refused for a permanent reason. */
    REFUSED,
    /** EKS Auth failed for a temporary reason. */
    FAILED;

    /** Returns the value of the label. */
    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}
