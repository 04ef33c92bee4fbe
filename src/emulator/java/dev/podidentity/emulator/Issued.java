package dev.podidentity.emulator;

import io.vertx.core.json.JsonObject;
import java.time.Instant;

/**
 * Credentials that were made for a call, whatever part of them the answer then held.
 *
 * @param at when they were made
 * @param token the token of the call
 * @param namespace of the service account that they are for
 * @param serviceAccount that they are for
 * @param account the AWS account of the role
 * @param expiration to the millisecond
 */
public record Issued(
        Instant at,
        String token,
        String namespace,
        String serviceAccount,
        String account,
        String accessKeyId,
        String secretAccessKey,
        String sessionToken,
        Instant expiration) {

    static Issued of(Instant at, String token, JsonObject answer) {
        JsonObject subject = answer.getJsonObject("subject");
        JsonObject credentials = answer.getJsonObject("credentials");
        return new Issued(
                at,
                token,
                subject.getString("namespace"),
                subject.getString("serviceAccount"),
                answer.getJsonObject("assumedRoleUser").getString("arn").split(":")[4],
                credentials.getString("accessKeyId"),
                credentials.getString("secretAccessKey"),
                credentials.getString("sessionToken"),
                Instant.ofEpochMilli(Math.round(credentials.getDouble("expiration") * 1000)));
    }

    /** Leaves out what is secret. */
    @Override
    public String toString() {
        return "Issued[" + accessKeyId + " for " + namespace + "/" + serviceAccount + ", at=" + at + ", expiration="
                + expiration + ']';
    }
}
