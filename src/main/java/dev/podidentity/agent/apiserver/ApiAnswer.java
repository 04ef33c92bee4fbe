package dev.podidentity.agent.apiserver;

import dev.podidentity.agent.outbound.CallFailure;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.json.DecodeException;
import io.vertx.core.json.JsonObject;
import java.time.Instant;
import java.time.format.DateTimeFormatter;
import java.time.format.DateTimeParseException;
import java.util.Optional;

/**
 * A response of the server, whatever its status.
 *
 * @param status the HTTP status; redirects are not followed, so it can be that of a redirect
 * @param body the whole body; empty if the body was streamed
 * @param date the {@code Date} header
 * @param errorType the {@code x-amzn-ErrorType} header, in which AWS services name their errors
 */
public record ApiAnswer(int status, Buffer body, Optional<String> date, Optional<String> errorType) {

    private static final int OK = 200;
    private static final int FIRST_REDIRECT = 300;
    private static final int FORBIDDEN = 403;
    /** Enough for the name of an admission policy and its message. */
    private static final int LONGEST_REASON = 300;

    /** For a server that is not an AWS service. */
    public ApiAnswer(int status, Buffer body, Optional<String> date) {
        this(status, body, date, Optional.empty());
    }

    /** Returns whether the call succeeded. */
    public boolean ok() {
        return status >= OK && status < FIRST_REDIRECT;
    }

    /**
     * Returns whether the agent lacks the permission (403). A rejected token (401) does not count, because it is temporary:
     * one API server may learn of the newest signing key later than the others.
     */
    public boolean refused() {
        return status == FORBIDDEN;
    }

    /** Returns the server's time of the response, truncated to seconds; empty if the server did not send it. */
    public Optional<Instant> at() {
        try {
            return date.map(text -> DateTimeFormatter.RFC_1123_DATE_TIME.parse(text, Instant::from));
        } catch (DateTimeParseException e) {
            return Optional.empty();
        }
    }

    /**
     * Returns the API server's explanation of a bad response, such as the name of the policy that rejected a change; empty
     * if there is none. It never contains more than the server or the agent's own request did.
     */
    public String reason() {
        try {
            return json("a status").getValue("message") instanceof String message
                    ? message.substring(0, Math.min(message.length(), LONGEST_REASON))
                    : "";
        } catch (CallFailure failure) {
            return "";
        }
    }

    /**
     * Returns the body of a successful response.
     *
     * @param what the object that was requested, as a noun phrase for the error message
     * @throws CallFailure if the body is not a JSON object
     */
    public JsonObject json(String what) throws CallFailure {
        try {
            // toJsonObject() decodes at once; a JsonObject that wraps the buffer would accept any JSON and fail on first
            // use.
            return body.toJsonObject();
        } catch (DecodeException | ClassCastException e) {
            throw new CallFailure("The response for " + what + " is not a JSON object", false);
        }
    }

    /** Omits the body, which may contain what must not be logged. */
    @Override
    public String toString() {
        return "ApiAnswer[" + status + ", " + body.length() + " bytes]";
    }
}
