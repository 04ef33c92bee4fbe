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
 * What was answered, whatever the status.
 *
 * @param status the HTTP status; a redirect is one like any other, and is not followed
 * @param body the whole body; empty if it was taken as it came
 * @param date the header of that name
 * @param errorType what AWS names an error by: the header {@code x-amzn-ErrorType}
 */
public record ApiAnswer(int status, Buffer body, Optional<String> date, Optional<String> errorType) {

    private static final int OK = 200;
    private static final int FIRST_REDIRECT = 300;
    private static final int FORBIDDEN = 403;
    /** Enough for the name of a policy and its own message. */
    private static final int LONGEST_REASON = 300;

    /** Of a server that is not of AWS. */
    public ApiAnswer(int status, Buffer body, Optional<String> date) {
        this(status, body, date, Optional.empty());
    }

    /** Whether it was done. */
    public boolean ok() {
        return status >= OK && status < FIRST_REDIRECT;
    }

    /**
     * Whether the agent lacks the permission. That its token is not accepted is another thing, and passes: an API server may
     * hear of the newest signing key later than the others.
     */
    public boolean refused() {
        return status == FORBIDDEN;
    }

    /** What the server's clock showed when it answered, to the second below; empty if it did not say. */
    public Optional<Instant> at() {
        try {
            return date.map(text -> DateTimeFormatter.RFC_1123_DATE_TIME.parse(text, Instant::from));
        } catch (DateTimeParseException e) {
            return Optional.empty();
        }
    }

    /**
     * What the API server says about a bad answer, such as which policy refused a change; empty if it says nothing. Holds
     * what was sent at the most.
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
     * The body of a good answer.
     *
     * @param what is asked for, in the words of a sentence
     * @throws CallFailure if it is not a JSON object
     */
    public JsonObject json(String what) throws CallFailure {
        try {
            // Decoded here: a wrapped buffer would be read as any JSON, and fail at its first use.
            return body.toJsonObject();
        } catch (DecodeException | ClassCastException e) {
            throw new CallFailure("The answer for " + what + " is not a JSON object", false);
        }
    }

    /** Without the body, which may hold what a log must not. */
    @Override
    public String toString() {
        return "ApiAnswer[" + status + ", " + body.length() + " bytes]";
    }
}
