package dev.podidentity.agent.eksauth;

import dev.podidentity.agent.observe.Field;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import org.jboss.logging.Logger;
import software.amazon.awssdk.auth.credentials.AwsCredentials;
import software.amazon.awssdk.auth.credentials.AwsCredentialsProvider;
import software.amazon.awssdk.auth.credentials.AwsCredentialsProviderChain;
import software.amazon.awssdk.auth.credentials.EnvironmentVariableCredentialsProvider;
import software.amazon.awssdk.auth.credentials.ProfileCredentialsProvider;
import software.amazon.awssdk.identity.spi.AwsCredentialsIdentity;
import software.amazon.awssdk.identity.spi.IdentityProvider;
import software.amazon.awssdk.identity.spi.ResolveIdentityRequest;

/**
 * Holds the agent's own AWS credentials, with which it calls EKS Auth. They come from the environment, the shared config and
 * credentials files, or IMDSv2. They never come from a container credentials endpoint, because that would be this agent.
 *
 * <p>Finding them reads files and calls IMDS, so it runs on a worker thread, and calls to EKS Auth use the last result
 * without waiting. If they cannot be refreshed, the last ones stay in use: EKS Auth decides whether they are still good, and
 * its last verdict on them is kept.
 */
public final class AgentCredentials implements IdentityProvider<AwsCredentialsIdentity> {

    /** How often the sources are queried, as in the reference; each source decides whether to read its credentials again. */
    public static final Duration REFRESH_INTERVAL = Duration.ofMinutes(1);

    private static final Logger LOG = Logger.getLogger(AgentCredentials.class);
    /** A new policy reaches the servers of AWS one after another, so acceptance and rejection alternate for a while. */
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
    /** Whether the last refresh found none, so that the current ones are from an earlier refresh. */
    private volatile boolean kept;
    private final CompletableFuture<Void> found = new CompletableFuture<>();

    private final Object judgement = new Object();
    /** The credentials that EKS Auth rejected in its last verdict, or null. Changed under the judgement lock. */
    private volatile AwsCredentialsIdentity refused;
    // Guarded by the judgement lock, which is only held briefly.
    private Optional<String> loggedRefusal = Optional.empty();
    private OptionalLong lastLine = OptionalLong.empty();

    /**
     * @param rotate whether each refresh reads the shared files again
     * @param worker runs blocking tasks
     * @param clock decides whether credentials have expired
     * @param nanos a monotonic clock
     */
    public static AgentCredentials ofThisNode(boolean rotate, Executor worker, Clock clock, LongSupplier nanos) {
        return new AgentCredentials(
                EnvironmentVariableCredentialsProvider.create(),
                ProfileCredentialsProvider::create,
                ImdsCredentials.ofThisNode(clock),
                rotate,
                worker,
                clock,
                nanos);
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

    /** Returns whether credentials were found. Any thread. */
    public boolean available() {
        return current != null;
    }

    /**
     * Returns whether the credentials appear to be usable: they are from the last refresh or have not expired, and EKS Auth
     * did not reject them in its last verdict. Those of the last refresh may be past their expiration, because IMDS serves
     * such credentials in an outage, and AWS then accepts them. Any thread.
     */
    public boolean usable() {
        AwsCredentials now = current;
        return now != null && !(kept && expired(now)) && !now.equals(refused);
    }

    /** Returns when the credentials expire; empty if there are none, or if their source states no expiration. Any thread. */
    public Optional<Instant> expiration() {
        return Optional.ofNullable(current).flatMap(AwsCredentials::expirationTime);
    }

    private boolean expired(AwsCredentials credentials) {
        return credentials.expirationTime().map(expiration -> !expiration.isAfter(clock.instant())).orElse(false);
    }

    /** Returns the credentials that sign calls now; null if none were found yet. */
    AwsCredentialsIdentity current() {
        return current;
    }

    /**
     * Records the verdict of EKS Auth on the credentials. Failures that are not about the caller say nothing about them. Any
     * thread; never blocks.
     *
     * @param signedWith the credentials that signed the call; ignored if they are no longer in use
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

    /** Completes on the worker once credentials were found. */
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
                LOG.infof("The agent's own AWS credentials were found",
                        Field.of("accessKeyId", resolved.accessKeyId()));
            }
            current = resolved;
            kept = false;
            found.complete(null);
        } catch (RuntimeException e) {
            // A malformed file causes whatever its parser throws, not only an SdkException.
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

    /** Returns what the last refresh found. Never blocks. */
    @Override
    public CompletableFuture<? extends AwsCredentialsIdentity> resolveIdentity(ResolveIdentityRequest request) {
        AwsCredentials now = current;
        return now != null
                ? CompletableFuture.completedFuture(now)
                : CompletableFuture.failedFuture(new UnavailableException());
    }

    /** Thrown if the agent has no credentials yet. */
    static final class UnavailableException extends RuntimeException {

        private static final long serialVersionUID = 1L;

        UnavailableException() {
            super("The agent has not found its own AWS credentials yet: see its log", null, false, false);
        }
    }
}
