package dev.podidentity.agent.eksauth;

import java.util.regex.Pattern;
import software.amazon.awssdk.awscore.exception.AwsServiceException;

/**
 * What EKS Auth said itself when it issued no credentials, as people look for it in CloudTrail and give it to AWS's support.
 * Holds no secret, and nothing that breaks a line of a log.
 *
 * @param message its message; may be empty
 * @param requestId the ID of the request; may be empty
 */
public record Said(String message, String requestId) {

    /** Nothing was said: there was no answer. */
    public static final Said NOTHING = new Said("", "");

    /** EKS Auth's own messages have one or two sentences. */
    private static final int LONGEST_MESSAGE = 256;
    private static final int LONGEST_REQUEST_ID = 64;
    /** A JWT, of which every part is base64url of at least a few characters. */
    private static final Pattern TOKEN = Pattern.compile("[0-9A-Za-z_-]{16,}\\.[0-9A-Za-z_-]{16,}(\\.[0-9A-Za-z_-]*)?");
    /**
     * A part of a token, or a session token, which may have slashes. Names in AWS have 64 characters at most, and what is after the
     * last colon of the ARN of a node's session 97.
     */
    private static final Pattern SECRET = Pattern.compile("(?:[0-9A-Za-z_+-]{65,}|[0-9A-Za-z/_+-]{100,})={0,2}");
    private static final Pattern NOT_TEXT = Pattern.compile("[\\p{Cc}\\p{Cf}\\u2028\\u2029]+");
    private static final Pattern NOT_AN_ID = Pattern.compile("[^0-9A-Za-z-]");

    /** What an answer says, without anything in it that could be a secret. */
    static Said by(AwsServiceException answer) {
        String message = answer.awsErrorDetails() == null ? null : answer.awsErrorDetails().errorMessage();
        return new Said(message == null ? "" : plain(message), id(answer.requestId()));
    }

    /** The same without the message. */
    Said withoutMessage() {
        return new Said("", requestId);
    }

    /** As sentences that can follow others, without the last full stop; empty if nothing was said. */
    public String inWords() {
        String said = message.isEmpty() ? "" : "EKS Auth said: \"" + message + '"';
        String request = requestId.isEmpty() ? "" : "Request ID: " + requestId;
        return said.isEmpty() || request.isEmpty() ? said + request : said + ". " + request;
    }

    private static String plain(String message) {
        String text = NOT_TEXT.matcher(message).replaceAll(" ").strip();
        // A secret that is cut would not be seen as one.
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
