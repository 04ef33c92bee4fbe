package dev.podidentity.agent.http;

import dev.podidentity.agent.eksauth.EksAuthFailure;
import dev.podidentity.agent.eksauth.PermanentFailure;
import dev.podidentity.agent.observe.RequestOutcome;
import dev.podidentity.agent.token.RejectedToken;
import dev.podidentity.agent.token.ServiceAccountToken.WorkloadClaims;
import io.netty.handler.codec.http.TooLongHttpHeaderException;
import io.netty.handler.codec.http.TooLongHttpLineException;
import io.vertx.core.json.JsonObject;
import java.nio.charset.StandardCharsets;
import java.util.Optional;

/**
 * A response without credentials. Only this class maps failures to HTTP statuses. All AWS SDKs retry after a 503, some do
 * not after a 429, they give up after a 400 or 403, and Java's hides the message of a 404. Immutable.
 */
final class ErrorAnswer {

    private static final int BAD_REQUEST = 400;
    private static final int FORBIDDEN = 403;
    private static final int NOT_FOUND = 404;
    private static final int METHOD_NOT_ALLOWED = 405;
    private static final int CONTENT_TOO_LARGE = 413;
    private static final int URI_TOO_LONG = 414;
    private static final int HEADERS_TOO_LARGE = 431;
    private static final int UNAVAILABLE = 503;

    private static final String INVALID_REQUEST = "InvalidRequestException";

    static final ErrorAnswer HOST = new ErrorAnswer(FORBIDDEN, "AccessDeniedException",
            "The Host header does not name this agent: request http://169.254.170.23/v1/credentials, or start the agent with"
                    + " --allowed-hosts",
            RequestOutcome.FORBIDDEN_HOST);
    static final ErrorAnswer PATH = new ErrorAnswer(NOT_FOUND, "ResourceNotFoundException",
            "There is nothing at this path: request /v1/credentials", RequestOutcome.BAD_REQUEST);
    static final ErrorAnswer METHOD = new ErrorAnswer(METHOD_NOT_ALLOWED, INVALID_REQUEST,
            "The method is not allowed: use GET or HEAD", RequestOutcome.BAD_REQUEST, "Allow: GET, HEAD\r\n");
    static final ErrorAnswer BODY = new ErrorAnswer(CONTENT_TOO_LARGE, INVALID_REQUEST,
            "The request has a body: send it without one", RequestOutcome.BAD_REQUEST);
    static final ErrorAnswer LONG_TARGET = new ErrorAnswer(URI_TOO_LONG, INVALID_REQUEST,
            "The request line is too long: request /v1/credentials", RequestOutcome.BAD_REQUEST);
    static final ErrorAnswer LARGE_HEADERS = new ErrorAnswer(HEADERS_TOO_LARGE, INVALID_REQUEST,
            "The headers exceed 32 KiB or 64 lines: send only the token", RequestOutcome.BAD_REQUEST);
    static final ErrorAnswer MALFORMED = new ErrorAnswer(BAD_REQUEST, INVALID_REQUEST,
            "The request is not valid HTTP/1.1", RequestOutcome.BAD_REQUEST);
    static final ErrorAnswer RATE = new ErrorAnswer(UNAVAILABLE, "ThrottlingException",
            "Too many requests from this source address: let the SDK cache its credentials", RequestOutcome.LIMITED);

    static final ErrorAnswer BUSY = new ErrorAnswer(UNAVAILABLE, "ThrottlingException",
            "Too many requests are in progress: try again", RequestOutcome.LIMITED);

    private static final String NO_HEADERS = "";

    private final int status;
    private final String code;
    private final String message;
    private final RequestOutcome outcome;
    private final String headers;
    private final byte[] body;

    private ErrorAnswer(int status, String code, String message, RequestOutcome outcome) {
        // One second is the shortest Retry-After, and enough because the agent itself waits for EKS Auth. JavaScript's SDK
        // v2 honours it.
        this(status, code, message, outcome, status == UNAVAILABLE ? "Retry-After: 1\r\n" : NO_HEADERS);
    }

    private ErrorAnswer(int status, String code, String message, RequestOutcome outcome, String headers) {
        this.status = status;
        this.code = code;
        this.message = message;
        this.outcome = outcome;
        this.headers = headers;
        // Both spellings of the keys, because SDKs differ in which they read.
        this.body = new JsonObject()
                .put("code", code)
                .put("message", message)
                .put("Code", code)
                .put("Message", message)
                .encode()
                .getBytes(StandardCharsets.UTF_8);
    }

    /** @param cause the value of {@link HeadDecoder.Head#failure} */
    static ErrorAnswer ofUnreadable(Throwable cause) {
        if (cause == ClientConnection.OVER_BUDGET) {
            return BUSY;
        }
        if (cause instanceof TooLongHttpLineException) {
            return LONG_TARGET;
        }
        return cause instanceof TooLongHttpHeaderException ? LARGE_HEADERS : MALFORMED;
    }

    /** @param workload the workload that the token names */
    static ErrorAnswer of(RejectedToken rejected, Optional<WorkloadClaims> workload) {
        String message = named(rejected.message(), workload);
        return switch (rejected.kind()) {
            case INVALID -> new ErrorAnswer(BAD_REQUEST, "InvalidTokenException", message, RequestOutcome.BAD_TOKEN);
            case EXPIRED -> new ErrorAnswer(BAD_REQUEST, "ExpiredTokenException", message, RequestOutcome.BAD_TOKEN);
            case FORBIDDEN -> new ErrorAnswer(FORBIDDEN, "AccessDeniedException", message, RequestOutcome.BAD_TOKEN);
        };
    }

    /** @param workload the workload that the token names */
    static ErrorAnswer of(EksAuthFailure failure, WorkloadClaims workload) {
        String message = named(failure.explanation(), Optional.of(workload));
        if (failure instanceof PermanentFailure permanent) {
            int status = switch (permanent.reason()) {
                case ACCESS_DENIED, NO_ASSOCIATION -> FORBIDDEN;
                case INVALID_PARAMETER, INVALID_REQUEST, INVALID_TOKEN, EXPIRED_TOKEN -> BAD_REQUEST;
            };
            return new ErrorAnswer(status, permanent.code(), message, RequestOutcome.REFUSED);
        }
        return new ErrorAnswer(UNAVAILABLE, failure.code(), message, RequestOutcome.FAILED);
    }

    /** Names the workload, because readers of the message may have several service accounts. */
    private static String named(String message, Optional<WorkloadClaims> workload) {
        return workload.filter(claims -> !claims.namespace().isEmpty() && !claims.serviceAccount().isEmpty())
                .map(claims -> message + ". Service account (as the token claims): " + claims.namespace() + '/'
                        + claims.serviceAccount())
                .orElse(message);
    }

    /** Returns the HTTP status. */
    int status() {
        return status;
    }

    /** Returns the error code, in the style of AWS services. */
    String code() {
        return code;
    }

    /** Returns what happened and what to do, without secrets. */
    String message() {
        return message;
    }

    /** Returns the label for metrics. */
    RequestOutcome outcome() {
        return outcome;
    }

    /** Returns the header lines that only this response has. */
    String headers() {
        return headers;
    }

    /** Returns JSON in UTF-8: not a copy, so it must not be changed. */
    byte[] body() {
        return body;
    }
}
