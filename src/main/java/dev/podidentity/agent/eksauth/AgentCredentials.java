package dev.podidentity.agent.eksauth;

import dev.podidentity.agent.observe.Field;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.LongSupplier;
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
 * whether they are still good, and what it last said of them is kept too.
 */
public final class AgentCredentials implements IdentityProvider<AwsCredentialsIdentity> {

    /** How often the sources are asked again; each decides for itself whether to look anew. The reference's interval. */
    public static final Duration REFRESH_INTERVAL = Duration.ofMinutes(1);

    private static final Logger LOG = Logger.getLogger(AgentCredentials.class);
    /** A new policy takes effect on one server of AWS after the other, so that refusals and answers alternate for a while. */
    private static final Duration BETWEEN_LINES = Duration.ofSeconds(10);

    private final Supplier<AwsCredentialsProvider> profile;
    private final boolean rotate;
    private final AwsCredentialsProvider environment;
    private final AwsCredentialsProvider instance;
    private final Executor worker;
    private final Clock clock;
    private final LongSupplier nanos;

    // Guarded by this: refreshes run one at a time.
    private AwsCredentialsProvider chain;
    private boolean reported;

    private volatile AwsCredentials current;
    /** Whether the last refresh found none, so that the current ones are those of an earlier one. */
    private volatile boolean kept;
    private final CompletableFuture<Void> found = new CompletableFuture<>();

    private final Object judgement = new Object();
    /** Those that EKS Auth refused in its last word on them; null if there are none. Changed under the judgement's lock. */
    private volatile AwsCredentialsIdentity refused;
    // Guarded by the judgement's lock, which is never held for long.
    private Optional<String> loggedRefusal = Optional.empty();
    private OptionalLong lastLine = OptionalLong.empty();

    /**
     * @param rotate whether to read the shared files anew at each refresh
     * @param worker runs what blocks
     * @param clock tells the time that credentials expire by
     * @param nanos the monotonic clock
     */
    public static AgentCredentials ofThisNode(boolean rotate, Executor worker, Clock clock, LongSupplier nanos) {
        return new AgentCredentials(
                EnvironmentVariableCredentialsProvider.create(),
                ProfileCredentialsProvider::create,
                imds(),
                rotate,
                worker,
                clock,
                nanos);
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
            Executor worker,
            Clock clock,
            LongSupplier nanos) {
        this.environment = environment;
        this.profile = profile;
        this.instance = instance;
        this.rotate = rotate;
        this.worker = worker;
        this.clock = clock;
        this.nanos = nanos;
    }

    /** Whether credentials have been found. Any thread. */
    public boolean available() {
        return current != null;
    }

    /**
     * Whether the credentials that were found can be used, as far as is known: they are the last refresh's or have not
     * expired, and EKS Auth has not refused them in its last word on them. Those of a refresh may have passed their
     * expiration: IMDS hands such ones out in an outage, and AWS accepts them then. Any thread.
     */
    public boolean usable() {
        AwsCredentials now = current;
        return now != null && !(kept && expired(now)) && !now.equals(refused);
    }

    /** When the credentials that were found expire; empty if there are none, or if they do not. Any thread. */
    public Optional<Instant> expiration() {
        return Optional.ofNullable(current).flatMap(AwsCredentials::expirationTime);
    }

    private boolean expired(AwsCredentials credentials) {
        return credentials.expirationTime().map(expiration -> !expiration.isAfter(clock.instant())).orElse(false);
    }

    /** What calls are signed with now; null if nothing was found yet. */
    AwsCredentialsIdentity current() {
        return current;
    }

    /**
     * EKS Auth has answered a call. Trouble that is not about the caller says nothing about the credentials. Any thread;
     * never blocks.
     *
     * @param signedWith what the call was signed with; ignored if others are in use by now
     */
    void answered(AwsCredentialsIdentity signedWith, EksAuthAnswer answer) {
        if (signedWith == null || !signedWith.equals(current)) {
            return;
        }
        if (answer instanceof TransientFailure failure) {
            switch (failure.reason()) {
                case AGENT_CREDENTIALS, AGENT_PERMISSION -> refused(signedWith, failure);
                case THROTTLED, INTERNAL, UNAVAILABLE, TIMED_OUT, NO_ADDRESS, UNREACHABLE, TLS, BROKEN, BAD_ANSWER,
                        NOT_READY -> { }
            }
        } else {
            accepted();
        }
    }

    private void refused(AwsCredentialsIdentity credentials, TransientFailure failure) {
        synchronized (judgement) {
            refused = credentials;
            if (!loggedRefusal.equals(Optional.of(failure.message())) && mayLog()) {
                loggedRefusal = Optional.of(failure.message());
                LOG.warnf("EKS Auth rejects the calls of the agent itself; cached credentials are still served",
                        Field.of("reason", failure.reason().counted().label()),
                        Field.of("remedy", failure.message()));
            }
        }
    }

    private void accepted() {
        synchronized (judgement) {
            refused = null;
            if (loggedRefusal.isPresent() && mayLog()) {
                loggedRefusal = Optional.empty();
                LOG.info("EKS Auth accepts the agent's calls again");
            }
        }
    }

    private boolean mayLog() {
        long now = nanos.getAsLong();
        boolean may = lastLine.isEmpty() || now - lastLine.getAsLong() >= BETWEEN_LINES.toNanos();
        if (may) {
            lastLine = OptionalLong.of(now);
        }
        return may;
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
            kept = false;
            found.complete(null);
        } catch (RuntimeException e) {
            // Not SdkException alone: a malformed file comes as whatever its parser throws.
            kept = true;
            if (!reported) {
                reported = true;
                LOG.warnf("The agent's own AWS credentials cannot be found; give the node an instance role and enable IMDSv2,"
                        + " or set AWS_ACCESS_KEY_ID or a shared credentials file",
                        Field.of("keptEarlierOnes", available()));
                LOG.debug("The sources of credentials that were tried", e);
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
        AwsCredentials now = current;
        return now != null
                ? CompletableFuture.completedFuture(now)
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
