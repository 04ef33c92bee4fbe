package dev.podidentity.agent.credentials;

import dev.podidentity.agent.eksauth.IssuedCredentials;
import io.vertx.core.json.JsonObject;
import java.time.Duration;
import java.time.Instant;

/**
 * Credentials as they are answered: encoded once, when they come.
 *
 * @param answer what a pod's SDK reads, holding secrets
 * @param fetchedAt when they came, by this node's clock
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
                // Whole seconds: some SDKs read no fractions.
                .put("Expiration", Instant.ofEpochSecond(issued.expiration().getEpochSecond()).toString());
        return new Credentials(EncodedAnswer.of(json.toBuffer().getBytes()), now, nanos, issued.expiration(),
                issued.roleArn());
    }

    /**
     * Whether AWS still accepts them: by this node's clock, and by the time that has passed since they came, in case that
     * clock has been set back since.
     *
     * @param nanos of the monotonic clock
     */
    boolean validAt(Instant now, long nanos) {
        return expiration.isAfter(now) && Duration.ofNanos(nanos - fetchedAtNanos).compareTo(lifetime()) < 0;
    }

    /**
     * How old they are: what this node's clock or the monotonic one says, whichever is more. If they differ, the former
     * was or is wrong.
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
