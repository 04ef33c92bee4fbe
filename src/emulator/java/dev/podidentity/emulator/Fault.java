package dev.podidentity.emulator;

import java.time.Duration;
import java.util.List;

/**
 * A fault in a call. Faults that change a successful response ({@link MissingField}, {@link WrongType}, {@link ShortExpiry},
 * {@link OtherSubject}, {@link SlowBody}, {@link Truncated}) and {@link Latency} keep the checks of the call; the others
 * replace the checks, and happen whatever the call contains.
 */
public sealed interface Fault {

    /** All fields of a successful response, which {@link MissingField} and {@link WrongType} can name. */
    List<String> ANSWER_FIELDS = List.of(
            "subject",
            "subject.namespace",
            "subject.serviceAccount",
            "audience",
            "podIdentityAssociation",
            "podIdentityAssociation.associationArn",
            "podIdentityAssociation.associationId",
            "assumedRoleUser",
            "assumedRoleUser.arn",
            "assumedRoleUser.assumeRoleId",
            "credentials",
            "credentials.accessKeyId",
            "credentials.secretAccessKey",
            "credentials.sessionToken",
            "credentials.expiration");

    /** Returns a fault that happens after a delay. */
    static Fault after(Duration delay, Fault fault) {
        return new After(delay, fault);
    }

    /** A normal response after a delay. */
    record Latency(Duration delay) implements Fault {

        public Latency {
            requireDelay(delay);
        }
    }

    /** Another fault, after a delay. */
    record After(Duration delay, Fault fault) implements Fault {

        public After {
            requireDelay(delay);
        }
    }

    /** An error in the format of EKS Auth, with this HTTP status and {@code x-amzn-ErrorType}. */
    record ErrorAnswer(int status, String type, String message) implements Fault {

        public ErrorAnswer {
            if (status < 400 || status > 599) {
                throw new IllegalArgumentException("status must be from 400 to 599: " + status);
            }
        }

        public ErrorAnswer(EksAuthError error) {
            this(error.status(), error.type(), "Emulated " + error.type());
        }
    }

    /** No response for as long as the connection is open. */
    record Hang() implements Fault {}

    /** The connection is reset without a response. */
    record Reset() implements Fault {}

    /** The connection closes in the middle of the response body. */
    record Truncated() implements Fault {}

    /** A successful response whose body arrives byte by byte, with a pause before each. */
    record SlowBody(Duration pause) implements Fault {

        public SlowBody {
            if (pause.toMillis() < 1) {
                throw new IllegalArgumentException("pause must be a millisecond or more: " + pause);
            }
        }
    }

    /** The response for a token of another service account, which must have an association. */
    record OtherSubject(String namespace, String serviceAccount) implements Fault {}

    /** Status 200 with an HTML page, as from a captive portal. */
    record NotJson() implements Fault {}

    /** Status 200 without a body. */
    record EmptyBody() implements Fault {}

    /** Status 302 to another path on this server. */
    record Redirect() implements Fault {}

    /** The response lacks one of {@link #ANSWER_FIELDS}. */
    record MissingField(String field) implements Fault {

        public MissingField {
            requireField(field);
        }
    }

    /** The response has an object in place of a string, or a string in place of a number or an object. */
    record WrongType(String field) implements Fault {

        public WrongType {
            requireField(field);
        }
    }

    /** The credentials have this lifetime; they have already expired if it is negative. */
    record ShortExpiry(Duration lifetime) implements Fault {}

    private static void requireDelay(Duration delay) {
        if (delay.isNegative()) {
            throw new IllegalArgumentException("delay must not be negative: " + delay);
        }
    }

    private static void requireField(String field) {
        if (!ANSWER_FIELDS.contains(field)) {
            throw new IllegalArgumentException("field must be one of " + ANSWER_FIELDS + ": " + field);
        }
    }
}
