package dev.podidentity.agent.credentials;

import dev.podidentity.agent.eksauth.IssuedCredentials;
import io.vertx.core.json.JsonObject;
import java.time.Duration;
import java.time.Instant;

/**
 * Credentials with their response, which is encoded once, when they arrive.
 *
 * @param answer the response for a pod's SDK, which contains secrets
 * @param fetchedAt when they arrived, by this node's clock
 * @param fetchedAtNanos the same, in nanoseconds of a monotonic clock
 * @param expiration when AWS stops accepting them
 * @param role the ARN of the assumed role's session
 */
public record Credentials(EncodedAnswer answer, Instant fetchedAt, long fetchedAtNanos, Instant expiration, String role) {

    static Credentials of(IssuedCredentials issued, Instant now, long nanos) {
        JsonObject json = new JsonObject()
                .put("AccessKeyId", issued.accessKeyId())
                .put("SecretAccessKey", issued.secretAccessKey())
                .put("Token", issued.sessionToken())
                .put("AccountId", issued.accountId())
                // Whole seconds, because some SDKs cannot parse fractions.
                .put("Expiration", Instant.ofEpochSecond(issued.expiration().getEpochSecond()).toString());
        return new Credentials(EncodedAnswer.of(json.toBuffer().getBytes()), now, nanos, issued.expiration(),
                issued.roleArn());
    }

    /**
     * Returns whether AWS still accepts them, by this node's clock and by the time since they arrived, in case the clock has
     * been set back.
     *
     * @param nanos of the monotonic clock
     */
    boolean validAt(Instant now, long nanos) {
        return expiration.isAfter(now) && Duration.ofNanos(nanos - fetchedAtNanos).compareTo(lifetime()) < 0;
    }

    /**
     * Returns their age by this node's clock or the monotonic one, whichever is greater. If these differ, the former was or
     * is wrong.
     *
     * @param nanos of the monotonic clock
     */
    Duration ageAt(Instant now, long nanos) {
        Duration byClock = Duration.between(fetchedAt, now);
        Duration passed = Duration.ofNanos(nanos - fetchedAtNanos);
        return byClock.compareTo(passed) > 0 ? byClock : passed;
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
