package dev.podidentity.emulator;

import java.time.Duration;
import java.util.List;

/**
 * Something that goes wrong with a call. Faults that change a good answer ({@link MissingField}, {@link WrongType},
 * {@link ShortExpiry}, {@link OtherSubject}, {@link SlowBody}, {@link Truncated}) and {@link Latency} leave the checks of
 * the call in place; the others come before them, and happen whatever the call says.
 */
public sealed interface Fault {

    /** Every field of a good answer: what {@link MissingField} and {@link WrongType} can name. */
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

    /** A fault that happens only after a delay. */
    static Fault after(Duration delay, Fault fault) {
        return new After(delay, fault);
    }

    /** The call is answered as always, but late. */
    record Latency(Duration delay) implements Fault {

        public Latency {
            requireDelay(delay);
        }
    }

    /** Another fault, late. */
    record After(Duration delay, Fault fault) implements Fault {

        public After {
            requireDelay(delay);
        }
    }

    /** An error in the form that EKS Auth gives it, of this HTTP status and {@code x-amzn-ErrorType}. */
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

    /** No answer for as long as the connection lives. */
    record Hang() implements Fault {}

    /** The connection is reset, with no answer. */
    record Reset() implements Fault {}

    /** The connection closes in the middle of the answer's body. */
    record Truncated() implements Fault {}

    /** A good answer whose body comes byte by byte, with a pause before each. */
    record SlowBody(Duration pause) implements Fault {

        public SlowBody {
            if (pause.toMillis() < 1) {
                throw new IllegalArgumentException("pause must be a millisecond or more: " + pause);
            }
        }
    }

    /** The answer is the one that another service account's token gets; that service account needs an association. */
    record OtherSubject(String namespace, String serviceAccount) implements Fault {}

    /** Status 200 with an HTML page, as from a captive proxy. */
    record NotJson() implements Fault {}

    /** Status 200 with no body. */
    record EmptyBody() implements Fault {}

    /** Status 302 to another path of this server. */
    record Redirect() implements Fault {}

    /** The answer lacks one of {@link #ANSWER_FIELDS}. */
    record MissingField(String field) implements Fault {

        public MissingField {
            requireField(field);
        }
    }

    /** In the answer, an object stands in place of a string, or a string in place of a number or an object. */
    record WrongType(String field) implements Fault {

        public WrongType {
            requireField(field);
        }
    }

    /** The credentials live this long; they have expired already if it is negative. */
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
