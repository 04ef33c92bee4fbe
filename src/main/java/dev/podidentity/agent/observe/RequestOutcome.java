package dev.podidentity.agent.observe;

import java.util.Locale;

/** What a request came to: a metric's label. */
public enum RequestOutcome {
    /** Credentials. */
    SERVED,
    /** Not a request for credentials: wrong path, method or syntax, or too large. */
    BAD_REQUEST,
    /** A host that is not the agent's. */
    FORBIDDEN_HOST,
    /** Over the limit of its source. */
    LIMITED,
    /** A token that is none, or has expired. */
    BAD_TOKEN,
    /** EKS Auth refused for a reason that stays. */
    REFUSED,
    /** EKS Auth failed for a reason that may pass. */
    FAILED;

    /** The label's value. */
    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}
