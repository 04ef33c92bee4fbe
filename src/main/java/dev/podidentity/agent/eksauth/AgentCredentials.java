package dev.podidentity.agent.eksauth;

import dev.podidentity.agent.observe.Field;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Supplier;
import org.jboss.logging.Logger;
import software.amazon.awssdk.auth.credentials.AwsCredentials;
import software.amazon.awssdk.auth.credentials.AwsCredentialsProvider;
import software.amazon.awssdk.auth.credentials.AwsCredentialsProviderChain;
import software.amazon.awssdk.auth.credentials.EnvironmentVariableCredentialsProvider;
import software.amazon.awssdk.auth.credentials.InstanceProfileCredentialsProvider;
import software.amazon.awssdk.auth.credentials.ProfileCredentialsProvider;
import software.amazon.awssdk.identity.spi.AwsCredentialsIdentity;
import software.amazon.awssdk.identity.spi.IdentityProvider;
import software.amazon.awssdk.identity.spi.ResolveIdentityRequest;

/**
 * The AWS credentials with which the agent itself calls EKS Auth: from the environment, the shared config and
 * credentials files, or IMDSv2; never from a container credentials endpoint, as that would be this very agent.
 *
 * <p>Finding them reads files and calls IMDS, so it is done on a worker thread and the outcome kept; a call to EKS Auth
 * takes what is kept and never waits. Once found, they stay in use while they cannot be refreshed: EKS Auth decides
 * whether they are still good.
 */
public final class AgentCredentials implements IdentityProvider<AwsCredentialsIdentity> {

    /** How often the sources are asked again; each decides for itself whether to look anew. The reference's interval. */
    public static final Duration REFRESH_INTERVAL = Duration.ofMinutes(1);

    private static final Logger LOG = Logger.getLogger(AgentCredentials.class);

    private final Supplier<AwsCredentialsProvider> profile;
    private final boolean rotate;
    private final AwsCredentialsProvider environment;
    private final AwsCredentialsProvider instance;
    private final Executor worker;

    // Guarded by this: refreshes run one at a time.
    private AwsCredentialsProvider chain;
    private boolean reported;

    private volatile AwsCredentials current;
    private final CompletableFuture<Void> found = new CompletableFuture<>();

    /**
     * @param rotate whether to read the shared files anew at each refresh
     * @param worker runs what blocks
     */
    public static AgentCredentials ofThisNode(boolean rotate, Executor worker) {
        return new AgentCredentials(
                EnvironmentVariableCredentialsProvider.create(),
                ProfileCredentialsProvider::create,
                imds(),
                rotate,
                worker);
    }

    /** Made when it is asked, as making it reads the config file, which may be malformed. */
    private static AwsCredentialsProvider imds() {
        // The SDK has no other way to forbid IMDSv1, to which it would fall back.
        System.setProperty("aws.disableEc2MetadataV1", "true");
        AtomicReference<AwsCredentialsProvider> made = new AtomicReference<>();
        return () -> {
            if (made.get() == null) {
                made.set(InstanceProfileCredentialsProvider.create());
            }
            return made.get().resolveCredentials();
        };
    }

    AgentCredentials(
            AwsCredentialsProvider environment,
            Supplier<AwsCredentialsProvider> profile,
            AwsCredentialsProvider instance,
            boolean rotate,
            Executor worker) {
        this.environment = environment;
        this.profile = profile;
        this.instance = instance;
        this.rotate = rotate;
        this.worker = worker;
    }

    /** Whether credentials have been found. Any thread. */
    public boolean available() {
        return current != null;
    }

    /** Completes once credentials have been found, on the worker. */
    CompletableFuture<Void> found() {
        return found;
    }

    /** Looks for the credentials again, on the worker; completes with whether there are any now. */
    public CompletableFuture<Boolean> refresh() {
        return CompletableFuture.supplyAsync(this::refreshNow, worker);
    }

    private synchronized boolean refreshNow() {
        if (chain == null || rotate) {
            chain = AwsCredentialsProviderChain.builder()
                    .addCredentialsProvider(environment)
                    .addCredentialsProvider(profile.get())
                    .addCredentialsProvider(instance)
                    .reuseLastProviderEnabled(false)
                    .build();
        }
        try {
            AwsCredentials resolved = chain.resolveCredentials();
            if (current == null || reported) {
                reported = false;
                LOG.infof("The agent's own AWS credentials are found",
                        Field.of("accessKeyId", resolved.accessKeyId()));
            }
            current = resolved;
            found.complete(null);
        } catch (RuntimeException e) {
            // Not SdkException alone: a malformed file comes as whatever its parser throws.
            if (!reported) {
                reported = true;
                LOG.warnf("The agent's own AWS credentials cannot be found; give the node an instance role and let IMDSv2"
                        + " answer with a hop limit of 2, or set AWS_ACCESS_KEY_ID or a shared credentials file",
                        Field.of("keptEarlierOnes", available()));
                LOG.debug("Where they were looked for", e);
            }
        }
        return available();
    }

    @Override
    public Class<AwsCredentialsIdentity> identityType() {
        return AwsCredentialsIdentity.class;
    }

    /** What the last refresh found. Never blocks. */
    @Override
    public CompletableFuture<? extends AwsCredentialsIdentity> resolveIdentity(ResolveIdentityRequest request) {
        AwsCredentials kept = current;
        return kept != null
                ? CompletableFuture.completedFuture(kept)
                : CompletableFuture.failedFuture(new UnavailableException());
    }

    /** There are no credentials yet. */
    static final class UnavailableException extends RuntimeException {

        private static final long serialVersionUID = 1L;

        UnavailableException() {
            super("The agent has no AWS credentials of its own yet: see its log", null, false, false);
        }
    }
}
