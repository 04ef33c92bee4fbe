package dev.podidentity.emulator;

import java.util.Arrays;

/** The errors that EKS Auth documents for AssumeRoleForPodIdentity. */
public enum EksAuthError {
    ACCESS_DENIED("AccessDeniedException", 400),
    INVALID_PARAMETER("InvalidParameterException", 400),
    INVALID_REQUEST("InvalidRequestException", 400),
    INVALID_TOKEN("InvalidTokenException", 400),
    EXPIRED_TOKEN("ExpiredTokenException", 400),
    RESOURCE_NOT_FOUND("ResourceNotFoundException", 404),
    THROTTLING("ThrottlingException", 429),
    INTERNAL_SERVER("InternalServerException", 500),
    SERVICE_UNAVAILABLE("ServiceUnavailableException", 503);

    private final String type;
    private final int status;

    EksAuthError(String type, int status) {
        this.type = type;
        this.status = status;
    }

    /** Returns the value of the {@code x-amzn-ErrorType} header. */
    public String type() {
        return type;
    }

    /** Returns the HTTP status. */
    public int status() {
        return status;
    }

    static EksAuthError ofType(String type) {
        return Arrays.stream(values())
                .filter(error -> error.type.equals(type))
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException("name must be one of "
                        + Arrays.stream(values()).map(EksAuthError::type).toList() + ": " + type));
    }
}
