package dev.podidentity.agent;

import dev.podidentity.agent.apiserver.ApiServer;
import dev.podidentity.agent.apiserver.ApiServerAddress;
import dev.podidentity.agent.cluster.ClusterKeys;
import dev.podidentity.agent.cluster.EventRecorder;
import dev.podidentity.agent.cluster.IssuerKeys;
import dev.podidentity.agent.cluster.PodWatch;
import dev.podidentity.agent.cluster.StartupTaint;
import dev.podidentity.agent.cluster.TokenReviews;
import dev.podidentity.agent.config.AgentConfig;
import dev.podidentity.agent.config.CoalesceScope;
import dev.podidentity.agent.config.VerificationMode;
import dev.podidentity.agent.http.FailureReport;
import dev.podidentity.agent.loop.EventLoop;
import dev.podidentity.agent.observe.Field;
import dev.podidentity.agent.observe.Metrics;
import dev.podidentity.agent.verification.JwksVerifier;
import dev.podidentity.agent.verification.KeyRing;
import dev.podidentity.agent.verification.KeySource;
import dev.podidentity.agent.verification.LivingPods;
import dev.podidentity.agent.verification.ReviewVerifier;
import dev.podidentity.agent.verification.TokenVerification;
import dev.podidentity.agent.verification.TokenVerifier;
import io.quarkus.runtime.configuration.ConfigurationException;
import io.vertx.core.Vertx;
import java.net.URI;
import java.time.Clock;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Executor;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import java.util.function.DoubleSupplier;
import java.util.function.Function;
import org.jboss.logging.Logger;

/**
 * The features that need the cluster or its signing keys: those that {@code --token-verification}, {@code --pod-watch},
 * {@code --events} and {@code --startup-taint} enable. Disabled features create no objects. Created on any thread, and
 * confined to the event loop from {@link #start} on.
 */
final class ClusterFeatures {

    private static final Logger LOG = Logger.getLogger(ClusterFeatures.class);

    private static final String NODE_NAME = "NODE_NAME";
    /** The default number of cache entries; each pod has at most two tokens. */
    private static final int TOKENS_REMEMBERED = 2_000;

    private final Executor worker;
    private final Optional<ApiServer> api;
    private final Optional<KeyRing> keys;
    private final TokenVerification verification;
    private final Optional<PodWatch> pods;
    private final Optional<EventRecorder> events;
    private final boolean nodeUnknown;
    private final Optional<Function<BooleanSupplier, StartupTaint>> taint;
    private Optional<StartupTaint> begunTaint = Optional.empty();

    /**
     * @param node the name of this node, if it is known
     * @throws ConfigurationException if an enabled feature is not possible; the message says what to do
     */
    ClusterFeatures(
            AgentConfig config,
            Map<String, String> environment,
            Optional<String> node,
            Metrics metrics,
            Clock clock,
            Vertx vertx,
            EventLoop loop,
            Executor worker) {
        this.worker = worker;
        DoubleSupplier random = () -> ThreadLocalRandom.current().nextDouble();
        boolean ofApiServer = config.tokenVerification() == VerificationMode.TOKEN_REVIEW
                || config.tokenVerification() == VerificationMode.JWKS && config.issuer().isEmpty()
                || config.podWatch()
                || config.events()
                || config.startupTaint().isPresent();
        try {
            api = ofApiServer
                    ? Optional.of(new ApiServer(
                            vertx,
                            ApiServerAddress.of(config.apiServer(), config.serviceAccountPath(), environment),
                            loop, worker, System::nanoTime))
                    : Optional.empty();
            keys = config.tokenVerification() == VerificationMode.JWKS
                    ? Optional.of(new KeyRing(
                            config.issuer().<KeySource>map(issuer ->
                                            new IssuerKeys(vertx, issuer, environment, loop, worker))
                                    .orElseGet(() -> new ClusterKeys(api.orElseThrow())),
                            config.keysFile(), config.issuer().map(URI::toString), metrics, clock, System::nanoTime,
                            loop, worker, random))
                    : Optional.empty();
        } catch (IllegalArgumentException e) {
            throw new ConfigurationException(e.getMessage(), e);
        }
        pods = config.podWatch()
                ? Optional.of(new PodWatch(api.orElseThrow(), node.orElseThrow(), metrics, System::nanoTime, loop, random))
                : Optional.empty();
        verification = new TokenVerification(
                verifier(config, clock, loop, worker, random), node, livingPods(), metrics, System::nanoTime);
        events = config.events()
                ? Optional.of(new EventRecorder(
                        api.orElseThrow(), config.clusterName(), node, metrics, clock, System::nanoTime, random))
                : Optional.empty();
        nodeUnknown = node.isEmpty() && config.tokenVerification() != VerificationMode.NONE;
        taint = config.startupTaint().map(key -> serving ->
                new StartupTaint(api.orElseThrow(), node.orElseThrow(), key, serving, metrics, loop, random));
    }

    /** Returns the name of this node, if the environment contains it. */
    static Optional<String> node(Map<String, String> environment) {
        return Optional.ofNullable(environment.get(NODE_NAME)).filter(name -> !name.isBlank());
    }

    private Optional<TokenVerifier> verifier(
            AgentConfig config, Clock clock, EventLoop loop, Executor worker, DoubleSupplier random) {
        return switch (config.tokenVerification()) {
            case NONE -> Optional.empty();
            case JWKS -> Optional.of(new JwksVerifier(
                    keys.orElseThrow(), config.audience(), TOKENS_REMEMBERED, clock, loop, worker));
            case TOKEN_REVIEW -> Optional.of(new ReviewVerifier(
                    new TokenReviews(api.orElseThrow(), config.audience()), TOKENS_REMEMBERED, clock, System::nanoTime,
                    loop, random));
        };
    }

    /** Returns which requests share credentials. */
    static CoalesceScope scope(AgentConfig config) {
        return config.coalesce().orElse(
                config.tokenVerification() == VerificationMode.NONE ? CoalesceScope.TOKEN : CoalesceScope.ROLE);
    }

    /** Returns how far this node's clock may be behind. Without verification the agent allows no difference. */
    static Duration leeway(AgentConfig config) {
        return config.tokenVerification() == VerificationMode.NONE ? Duration.ZERO : TokenVerification.LEEWAY;
    }

    TokenVerification verification() {
        return verification;
    }

    LivingPods livingPods() {
        return pods.<LivingPods>map(watch -> watch).orElse(LivingPods.UNWATCHED);
    }

    FailureReport failures() {
        return (pod, failure) -> events.ifPresent(recorder -> recorder.credentialsFailed(pod, failure));
    }

    /**
     * @param podGone receives the UID of each pod that is gone
     * @param serving whether credentials are served
     */
    void start(Consumer<String> podGone, BooleanSupplier serving) {
        if (nodeUnknown) {
            LOG.warnf("Tokens of other nodes are accepted, because the name of this node is not known",
                    Field.of("remedy", "set the environment variable NODE_NAME to spec.nodeName of the agent's pod"));
        }
        keys.ifPresent(ring -> {
            worker.execute(JwksVerifier::load);
            ring.start();
        });
        pods.ifPresent(watch -> watch.start(podGone));
        begunTaint = taint.map(made -> made.apply(serving));
        begunTaint.ifPresent(StartupTaint::start);
    }

    /** Prevents the features from starting anything new. */
    void stop() {
        begunTaint.ifPresent(StartupTaint::stop);
        pods.ifPresent(PodWatch::close);
        keys.ifPresent(KeyRing::stop);
        api.ifPresent(ApiServer::close);
    }
}
