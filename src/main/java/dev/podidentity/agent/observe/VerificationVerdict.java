package dev.podidentity.agent.observe;

import java.util.Locale;

/** What verifying a token gave: a metric's label. */
public enum VerificationVerdict {
    /** It is genuine, and of a pod of this node. */
    VERIFIED,
    /** Not verified: there are no keys. */
    NO_KEYS,
    /** Not verified: none of the keys is the token's. */
    UNKNOWN_KEY,
    /** Not verified: the API server has not answered. */
    API_SERVER,
    /** Not verified: the API server does not let the agent ask. */
    NOT_PERMITTED,
    /** Not verified: too many tokens at once. */
    LIMIT,
    /** Not verified: something went wrong in the agent. */
    ERROR,
    /** Not verified: genuine, but not bound to a pod. */
    NO_POD,
    /** Not verified: genuine, but of another issuer than the keys. */
    OTHER_ISSUER,
    /** Rejected: forged, of another cluster, or malformed. */
    INVALID,
    /** Rejected: no longer valid. */
    EXPIRED,
    /** Rejected: of a pod of another node. */
    OTHER_NODE,
    /** Rejected: of a pod that is gone. */
    POD_GONE;

    /** The label's value. */
    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}
