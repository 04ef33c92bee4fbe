package dev.podidentity.agent.credentials;

import dev.podidentity.agent.eksauth.IssuedCredentials;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.json.JsonObject;
import java.time.Duration;
import java.time.Instant;

/**
 * Credentials as they are answered: encoded once, when they come.
 *
 * @param body the JSON that a pod's SDK reads, holding secrets; never changed
 * @param fetchedAt when they came
 * @param expiration when AWS stops accepting them
 */
public record Credentials(Buffer body, Instant fetchedAt, Instant expiration) {

    static Credentials of(IssuedCredentials issued, Instant now) {
        JsonObject json = new JsonObject()
                .put("AccessKeyId", issued.accessKeyId())
                .put("SecretAccessKey", issued.secretAccessKey())
                .put("Token", issued.sessionToken())
                .put("AccountId", issued.accountId())
                // Whole seconds: some SDKs read no fractions.
                .put("Expiration", Instant.ofEpochSecond(issued.expiration().getEpochSecond()).toString());
        return new Credentials(json.toBuffer(), now, issued.expiration());
    }

    boolean validAt(Instant now) {
        return expiration.isAfter(now);
    }

    Duration leftAt(Instant now) {
        return Duration.between(now, expiration);
    }

    Duration lifetime() {
        return Duration.between(fetchedAt, expiration);
    }

    @Override
    public String toString() {
        return "Credentials[fetched " + fetchedAt + ", expire " + expiration + "]";
    }
}
