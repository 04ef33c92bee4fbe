package dev.podidentity.agent.eksauth;

import dev.podidentity.agent.observe.Field;
import dev.podidentity.agent.token.ServiceAccountToken;
import io.netty.channel.socket.nio.NioSocketChannel;
import io.quarkus.runtime.ImageMode;
import io.vertx.core.Vertx;
import java.net.URI;
import java.time.Clock;
import java.time.Duration;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeoutException;
import org.jboss.logging.Logger;
import software.amazon.awssdk.awscore.retry.AwsRetryStrategy;
import software.amazon.awssdk.core.client.config.SdkAdvancedAsyncClientOption;
import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.http.async.SdkAsyncHttpClient;
import software.amazon.awssdk.http.nio.netty.NettyNioAsyncHttpClient;
import software.amazon.awssdk.http.nio.netty.ProxyConfiguration;
import software.amazon.awssdk.http.nio.netty.SdkEventLoopGroup;
import software.amazon.awssdk.identity.spi.AwsCredentialsIdentity;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.regions.providers.DefaultAwsRegionProviderChain;
import software.amazon.awssdk.services.eksauth.EksAuthAsyncClient;
import software.amazon.awssdk.services.eksauth.EksAuthAsyncClientBuilder;
import software.amazon.awssdk.services.eksauth.model.AssumeRoleForPodIdentityResponse;

/**
 * Calls EKS Auth through the AWS SDK's async client, whose connections run on Vert.x event loops. The SDK does not retry:
 * the caller does, within its own budget.
 */
public final class SdkEksAuth implements EksAuth, AutoCloseable {

    private static final Logger LOG = Logger.getLogger(SdkEksAuth.class);

    /** A VPC endpoint responds to a SYN in milliseconds; waiting longer only wastes the attempt's time. */
    private static final Duration CONNECT_TIMEOUT = Duration.ofSeconds(2);

    /** At startup the first pods may call before IMDS has responded; they wait briefly instead of failing. */
    private static final Duration START_PATIENCE = Duration.ofMillis(500);

    private final EksAuthSettings settings;
    private final AgentCredentials credentials;
    private final Vertx vertx;
    private final Executor worker;
    private final AnswerReader answers;

    /** Completes once the region is known. */
    private final CompletableFuture<Connected> connected = new CompletableFuture<>();
    /** Calls requested before they could be made; each waits briefly. Confined to the event loop. */
    private final Set<Runnable> early = new LinkedHashSet<>();
    private boolean reported;

    /**
     * @param worker runs blocking tasks: finding the region may call IMDS
     * @param loop runs tasks on the event loop
     * @throws IllegalArgumentException if the configuration or the environment is unusable; the message says what to do
     */
    public SdkEksAuth(
            String clusterName,
            Optional<URI> endpoint,
            Duration attemptTimeout,
            int maxConnections,
            Map<String, String> environment,
            AgentCredentials credentials,
            Vertx vertx,
            Executor worker,
            Executor loop,
            Clock clock) {
        this.settings = EksAuthSettings.of(clusterName, endpoint, attemptTimeout, maxConnections, environment);
        this.credentials = credentials;
        this.vertx = vertx;
        this.worker = worker;
        this.answers = new AnswerReader(clock);
        CompletableFuture.allOf(connected, credentials.found()).thenRunAsync(this::makeEarlyCalls, loop);
    }

    /** Finds the region and creates the client, on the worker; completes with whether both are done. */
    public CompletableFuture<Boolean> connect() {
        return CompletableFuture.supplyAsync(this::connectNow, worker);
    }

    /** Returns whether the region is known, so that calls can be made. Any thread. */
    public boolean connected() {
        return connected.isDone();
    }

    private synchronized boolean connectNow() {
        if (connected()) {
            return true;
        }
        try {
            connected.complete(connect(DefaultAwsRegionProviderChain.builder().build().getRegion()));
            return true;
        } catch (RuntimeException e) {
            // A malformed file or region causes whatever its parser throws, not only an SdkException.
            if (!reported) {
                reported = true;
                LOG.warn("The AWS region cannot be found or used: set AWS_REGION, or enable IMDSv2 on this node");
                LOG.debug("The sources of the region that were tried", e);
            }
            return false;
        }
    }

    private Connected connect(Region region) {
        URI url = AwsSetup.endpoint(region, settings);
        NettyNioAsyncHttpClient.Builder builder = NettyNioAsyncHttpClient.builder()
                .eventLoopGroup(SdkEventLoopGroup.create(vertx.nettyEventLoopGroup(), NioSocketChannel::new))
                // The platform's resolver would block the event loop while a name server is slow.
                .useNonBlockingDnsResolver(true)
                .maxConcurrency(settings.maxConnections())
                .connectionTimeout(CONNECT_TIMEOUT)
                .connectionAcquisitionTimeout(settings.attemptTimeout())
                .readTimeout(settings.attemptTimeout())
                .writeTimeout(settings.attemptTimeout())
                .tcpKeepAlive(true)
                .proxyConfiguration(proxy(url));
        settings.trust().ifPresent(trust -> builder.tlsTrustManagersProvider(() -> trust));
        if (ImageMode.current() == ImageMode.JVM) {
            FirstCall.make(client(region));
        }
        SdkAsyncHttpClient http = builder.build();
        LOG.infof("Ready to call EKS Auth", Field.of("endpoint", url), Field.of("region", region));
        return new Connected(
                client(region).credentialsProvider(credentials).httpClient(http).build(),
                http,
                new FailureReader(settings.clusterName(), url.getHost()));
    }

    private EksAuthAsyncClientBuilder client(Region region) {
        return EksAuthAsyncClient.builder()
                .region(region)
                .endpointOverride(settings.endpoint().orElse(null))
                .fipsEnabled(settings.fips())
                .overrideConfiguration(override -> override
                        .retryStrategy(AwsRetryStrategy.doNotRetry())
                        .addExecutionInterceptor(new AnswerShape()))
                .asyncConfiguration(async -> async.advancedOption(
                        SdkAdvancedAsyncClientOption.FUTURE_COMPLETION_EXECUTOR, Runnable::run));
    }

    private ProxyConfiguration proxy(URI url) {
        ProxyConfiguration.Builder proxy =
                ProxyConfiguration.builder().useSystemPropertyValues(false).useEnvironmentVariableValues(false);
        settings.proxies().proxyFor(url).ifPresent(by -> {
            proxy.scheme(by.getScheme()).host(by.getHost()).port(by.getPort());
            if (by.getUserInfo() != null) {
                String[] user = by.getUserInfo().split(":", 2);
                proxy.username(user[0]).password(user.length > 1 ? user[1] : "");
            }
        });
        return proxy.build();
    }

    @Override
    public CompletionStage<EksAuthAnswer> assumeRole(ServiceAccountToken token) {
        CompletableFuture<EksAuthAnswer> answer = new CompletableFuture<>();
        if (connected() && credentials.available()) {
            call(token, connected.join(), answer);
            return answer;
        }
        Runnable call = () -> call(token, connected.join(), answer);
        early.add(call);
        vertx.setTimer(START_PATIENCE.toMillis(), fired -> {
            if (early.remove(call)) {
                answer.complete(notReady());
            }
        });
        return answer;
    }

    private void makeEarlyCalls() {
        List<Runnable> calls = List.copyOf(early);
        early.clear();
        calls.forEach(Runnable::run);
    }

    private TransientFailure notReady() {
        return new TransientFailure(TransientFailure.Reason.NOT_READY,
                "The agent has not found an AWS region or its own credentials yet: see its log");
    }

    private void call(ServiceAccountToken token, Connected to, CompletableFuture<EksAuthAnswer> answer) {
        AwsCredentialsIdentity signedWith = credentials.current();
        CompletableFuture<AssumeRoleForPodIdentityResponse> call;
        try {
            call = to.client.assumeRoleForPodIdentity(
                    request -> request.clusterName(settings.clusterName()).token(token.raw()));
        } catch (SdkException e) {
            answer.complete(to.failures.read(e));
            return;
        }
        long timer = vertx.setTimer(settings.attemptTimeout().toMillis(), fired -> {
            answer.complete(to.failures.read(new TimeoutException()));
            call.cancel(true);
        });
        call.thenApply(answers::read).whenComplete((read, thrown) -> {
            vertx.cancelTimer(timer);
            EksAuthAnswer given = thrown == null ? read : to.failures.read(thrown);
            credentials.answered(signedWith, given);
            answer.complete(given);
        });
    }

    @Override
    public void close() {
        connected.thenAccept(to -> {
            to.client.close();
            to.http.close();
        });
    }

    private record Connected(EksAuthAsyncClient client, SdkAsyncHttpClient http, FailureReader failures) {}
}
