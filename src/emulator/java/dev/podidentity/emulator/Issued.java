package dev.podidentity.emulator;

import io.vertx.core.json.JsonObject;
import java.time.Instant;

/**
 * Credentials created for a call, even if a fault removed part of them from the response.
 *
 * @param at when they were created
 * @param token the token of the call
 * @param namespace the namespace of their service account
 * @param serviceAccount their service account
 * @param account the AWS account of the role
 * @param expiration their expiration, to the millisecond
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

    /** Omits the secrets. */
    @Override
    public String toString() {
        return "Issued[" + accessKeyId + " for " + namespace + "/" + serviceAccount + ", at=" + at + ", expiration="
                + expiration + ']';
    }
}
