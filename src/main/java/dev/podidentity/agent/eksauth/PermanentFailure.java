package dev.podidentity.agent.eksauth;

/**
 * A failure that a retry cannot fix: the configuration must change first.
 *
 * @param reason the kind of failure
 * @param message what to do about it
 * @param said what EKS Auth itself said
 */
public record PermanentFailure(Reason reason, String message, Said said) implements EksAuthFailure {

    public PermanentFailure(Reason reason, String message) {
        this(reason, message, Said.NOTHING);
    }

    public enum Reason {
        ACCESS_DENIED("AccessDeniedException"),
        INVALID_PARAMETER("InvalidParameterException"),
        INVALID_REQUEST("InvalidRequestException"),
        INVALID_TOKEN("InvalidTokenException"),
        EXPIRED_TOKEN("ExpiredTokenException"),
        NO_ASSOCIATION("ResourceNotFoundException");

        private final String code;

        Reason(String code) {
            this.code = code;
        }
    }

    /** Returns whether the failure is about the token, and says nothing about other tokens of its service account. */
    public boolean ofToken() {
        return reason == Reason.INVALID_TOKEN || reason == Reason.EXPIRED_TOKEN;
    }

    @Override
    public String code() {
        return reason.code;
    }
}
