package dev.podidentity.agent.eksauth;

import io.vertx.core.json.DecodeException;
import io.vertx.core.json.JsonObject;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.format.DateTimeParseException;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.Supplier;
import software.amazon.awssdk.auth.credentials.AwsCredentials;
import software.amazon.awssdk.auth.credentials.AwsCredentialsProvider;
import software.amazon.awssdk.auth.credentials.AwsSessionCredentials;
import software.amazon.awssdk.auth.credentials.InstanceProfileCredentialsProvider;
import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.regions.internal.util.EC2MetadataUtils;

/**
 * The credentials of the node's instance role, from IMDSv2, with their expiration. The SDK's own provider knows the expiration
 * but leaves it out of the credentials that it returns. It is therefore read from IMDS again: for new credentials, and in each
 * refresh of the last {@link #SOON} before they expire. If it cannot be read, the last known one stays. Blocks; not
 * thread-safe.
 */
final class ImdsCredentials implements AwsCredentialsProvider {

    /** Longer than the ten minutes before expiration at which PodIdentityAgentCredentialsExpire fires. */
    static final Duration SOON = Duration.ofMinutes(15);

    private static final String PATH = "/latest/meta-data/iam/security-credentials/";

    private final Supplier<AwsCredentialsProvider> source;
    private final Function<String, String> metadata;
    private final Clock clock;

    private AwsCredentialsProvider provider;
    private AwsCredentials last;
    private Optional<Instant> expiration = Optional.empty();

    /**
     * @param source creates the SDK's provider on first use, because that reads the config file, which may be malformed
     * @param metadata returns what IMDS has at a path; null if it has nothing
     */
    ImdsCredentials(Supplier<AwsCredentialsProvider> source, Function<String, String> metadata, Clock clock) {
        this.source = source;
        this.metadata = metadata;
        this.clock = clock;
    }

    static ImdsCredentials ofThisNode(Clock clock) {
        // The SDK would fall back to IMDSv1, and has no other way to forbid it.
        System.setProperty("aws.disableEc2MetadataV1", "true");
        return new ImdsCredentials(InstanceProfileCredentialsProvider::create, path -> EC2MetadataUtils.getData(path, 1), clock);
    }

    @Override
    public AwsCredentials resolveCredentials() {
        if (provider == null) {
            provider = source.get();
        }
        AwsCredentials resolved = provider.resolveCredentials();
        if (!(resolved instanceof AwsSessionCredentials session)) {
            return resolved;
        }
        if (!session.equals(last)) {
            last = session;
            expiration = Optional.empty();
        }
        if (expiration.isEmpty() || !expiration.get().isAfter(clock.instant().plus(SOON))) {
            expiration = read(session.accessKeyId()).or(() -> expiration);
        }
        return expiration.<AwsCredentials>map(time -> session.toBuilder().expirationTime(time).build()).orElse(session);
    }

    /** Returns the expiration of these credentials; empty if IMDS has others by now. */
    private Optional<Instant> read(String accessKeyId) {
        try {
            return Optional.ofNullable(metadata.apply(PATH))
                    .flatMap(roles -> roles.lines().findFirst())
                    .map(role -> metadata.apply(PATH + role))
                    .map(JsonObject::new)
                    .filter(document -> accessKeyId.equals(document.getString("AccessKeyId")))
                    .map(document -> document.getString("Expiration"))
                    .map(Instant::parse);
        } catch (SdkException | DecodeException | DateTimeParseException e) {
            // Not logged: the text of the exception may have the document, which is a secret.
            return Optional.empty();
        }
    }
}
