package dev.podidentity.agent.eksauth;

import java.util.regex.Pattern;
import software.amazon.awssdk.awscore.exception.AwsServiceException;

/**
 * What EKS Auth said when it issued no credentials, for searches in CloudTrail and for cases with AWS Support. It contains
 * no secret, and no character that would break a log line.
 *
 * @param message the error message; may be empty
 * @param requestId the ID of the request; may be empty
 */
public record Said(String message, String requestId) {

    /** EKS Auth said nothing, because there was no response. */
    public static final Said NOTHING = new Said("", "");

    /** The messages of EKS Auth have one or two sentences. */
    private static final int LONGEST_MESSAGE = 256;
    private static final int LONGEST_REQUEST_ID = 64;
    /** A JWT, whose parts are base64url of at least a few characters. */
    private static final Pattern TOKEN = Pattern.compile("[0-9A-Za-z_-]{16,}\\.[0-9A-Za-z_-]{16,}(\\.[0-9A-Za-z_-]*)?");
    /**
     * Part of a token, or a session token, which may contain slashes. AWS names have at most 64 characters, and the part of
     * the ARN of a node's session after its last colon at most 97.
     */
    private static final Pattern SECRET = Pattern.compile("(?:[0-9A-Za-z_+-]{65,}|[0-9A-Za-z/_+-]{100,})={0,2}");
    private static final Pattern NOT_TEXT = Pattern.compile("[\\p{Cc}\\p{Cf}\\u2028\\u2029]+");
    private static final Pattern NOT_AN_ID = Pattern.compile("[^0-9A-Za-z-]");

    /** Returns what a response says, without anything that could be a secret. */
    static Said by(AwsServiceException answer) {
        String message = answer.awsErrorDetails() == null ? null : answer.awsErrorDetails().errorMessage();
        return new Said(message == null ? "" : plain(message), id(answer.requestId()));
    }

    /** Returns the same without the message. */
    Said withoutMessage() {
        return new Said("", requestId);
    }

    /** Returns sentences to follow others, without the last full stop; empty if nothing was said. */
    public String inWords() {
        String said = message.isEmpty() ? "" : "EKS Auth said: \"" + message + '"';
        String request = requestId.isEmpty() ? "" : "Request ID: " + requestId;
        return said.isEmpty() || request.isEmpty() ? said + request : said + ". " + request;
    }

    private static String plain(String message) {
        String text = NOT_TEXT.matcher(message).replaceAll(" ").strip();
        // Secrets are removed first, because a truncated one would not be recognized.
        text = SECRET.matcher(TOKEN.matcher(text).replaceAll("[token]")).replaceAll("[...]");
        return text.length() > LONGEST_MESSAGE ? text.substring(0, LONGEST_MESSAGE - 3) + "..." : text;
    }

    private static String id(String requestId) {
        if (requestId == null) {
            return "";
        }
        String id = NOT_AN_ID.matcher(requestId).replaceAll("");
        return id.length() > LONGEST_REQUEST_ID ? id.substring(0, LONGEST_REQUEST_ID) : id;
    }
}
