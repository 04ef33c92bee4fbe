package dev.podidentity.agent;

/** The permanent failures in {@link SdkMatrix}, about which a user reads. */
enum SdkTrouble {
    NO_ASSOCIATION("The service account has no association"),
    ACCESS_DENIED("EKS Auth denies it: the role does not trust EKS Pod Identity"),
    INVALID_TOKEN("EKS Auth does not accept the token"),
    EXPIRED_TOKEN("The token has expired"),
    WRONG_AUDIENCE("The token is for another audience"),
    NO_TOKEN("The token file is empty"),
    THROTTLED("EKS Auth throttles all calls"),
    INTERNAL_ERROR("EKS Auth has an internal error"),
    UNAVAILABLE("EKS Auth is unavailable"),
    REFUSED("EKS Auth refuses connections"),
    NODE_ROLE("The node's role may not call EKS Auth"),
    NO_AGENT("No agent runs on the node");

    private final String title;

    SdkTrouble(String title) {
        this.title = title;
    }

    String title() {
        return title;
    }
}
