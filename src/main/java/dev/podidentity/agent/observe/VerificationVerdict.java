package dev.podidentity.agent.observe;

import java.util.Locale;

/** The verdict on a token; a metric label. */
public enum VerificationVerdict {
    /** Genuine, and from a pod of this node. */
    VERIFIED,
    /** Not verified: there are no signing keys. */
    NO_KEYS,
    /** Not verified: the token's signing key is unknown. */
    UNKNOWN_KEY,
    /** Not verified: the API server did not respond. */
    API_SERVER,
    /** Not verified: the agent lacks the permission for token reviews. */
    NOT_PERMITTED,
    /** Not verified: too many tokens at once. */
    LIMIT,
    /** Not verified: an internal error of the agent. */
    ERROR,
    /** Not verified: genuine, but not bound to a pod. */
    NO_POD,
    /** Not verified: genuine, but from another issuer than the keys. */
    OTHER_ISSUER,
    /** Rejected: forged, from another cluster, or malformed. */
    INVALID,
    /** Rejected: expired. */
    EXPIRED,
    /** Rejected: from a pod of another node. */
    OTHER_NODE,
    /** Rejected: from a pod that is gone. */
    POD_GONE;

    /** Returns the value of the label. */
    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}
