package dev.podidentity.agent.verification;

import dev.podidentity.agent.loop.TokenBucket;
import dev.podidentity.agent.observe.Field;
import dev.podidentity.agent.observe.Metrics;
import dev.podidentity.agent.observe.VerificationVerdict;
import dev.podidentity.agent.token.NotVerified;
import dev.podidentity.agent.token.NotVerified.Reason;
import dev.podidentity.agent.token.RejectedToken;
import dev.podidentity.agent.token.ServiceAccountToken;
import dev.podidentity.agent.token.ServiceAccountToken.WorkloadClaims;
import dev.podidentity.agent.token.Verification;
import dev.podidentity.agent.token.VerifiedClaims;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import org.jboss.logging.Logger;

/**
 * Verifies a parsed token if this is possible, and rejects it if it belongs to a pod of another node or to a deleted pod.
 * Confined to the event loop.
 */
public final class TokenVerification {

    /** How long a request waits for the verdict: a third of its deadline, so that time remains for EKS Auth. */
    public static final Duration PATIENCE = Duration.ofMillis(300);

    /** How far this node's clock may be behind the API server's, which itself allows others a minute. */
    public static final Duration LEEWAY = Duration.ofSeconds(30);

    private static final Logger LOG = Logger.getLogger(TokenVerification.class);
    /** A stolen token is used repeatedly, and one line says as much as a thousand. */
    private static final double WARNINGS_PER_SECOND = 0.1;
    private static final int WARNINGS_AT_ONCE = 10;
    private static final NotVerified OFF = new NotVerified(Reason.OFF);

    private final Optional<TokenVerifier> verifier;
    private final Optional<String> nodeName;
    private final LivingPods pods;
    private final Metrics metrics;
    private final LongSupplier nanos;
    private final TokenBucket warnings;
    /** Warnings omitted since the last one. */
    private long unwarned;

    /**
     * @param verifier empty if verification is off
     * @param nodeName the name of this node; if it is unknown, the node in a token is not checked
     * @param pods which pods are running
     * @param nanos of a monotonic clock
     */
    public TokenVerification(
            Optional<TokenVerifier> verifier,
            Optional<String> nodeName,
            LivingPods pods,
            Metrics metrics,
            LongSupplier nanos) {
        this.verifier = verifier;
        this.nodeName = nodeName;
        this.pods = pods;
        this.metrics = metrics;
        this.nanos = nanos;
        this.warnings = new TokenBucket(WARNINGS_PER_SECOND, WARNINGS_AT_ONCE, nanos.getAsLong());
    }

    /**
     * Verifies a token.
     *
     * @param token a parsed token
     * @param source the client's address
     * @param verdict called exactly once, on the event loop: before this returns, or within {@link #PATIENCE}
     */
    public void verify(ServiceAccountToken token, String source, Consumer<Verification> verdict) {
        // Its claims are not verified, but they can only cause its rejection here.
        if (gone(token.claims().podUid(), token)) {
            verdict.accept(podGone());
        } else if (verifier.isEmpty()) {
            verdict.accept(OFF);
        } else if (ofAnotherNode(token.claims().node())) {
            // Before verification, so that the holder of a stolen token cannot avoid this check by preventing verification.
            verdict.accept(otherNode(token));
        } else {
            verifier.get().verify(token, source, verified -> verdict.accept(judged(token, verified)));
        }
    }

    /**
     * Returns the verdict that {@link #verify} would return immediately. Starts nothing and counts nothing; callers that use
     * the verdict call {@link #used}.
     *
     * @return null if the token would be rejected, or if verifying it would take time
     */
    public Verification known(ServiceAccountToken token, Instant now) {
        if (gone(token.claims().podUid(), token)) {
            return null;
        }
        if (verifier.isEmpty()) {
            return OFF;
        }
        if (ofAnotherNode(token.claims().node())) {
            return null;
        }
        Verification verdict = verifier.get().known(token, now);
        if (verdict instanceof VerifiedClaims claims
                && (ofAnotherNode(claims.node().orElse("")) || gone(claims.podUid(), token))) {
            return null;
        }
        return verdict instanceof RejectedToken ? null : verdict;
    }

    /** A request was served with a verdict of {@link #known}. */
    public void used(Verification verdict) {
        if (verifier.isPresent()) {
            metrics.verified(label(verdict));
        }
    }

    private boolean gone(String podUid, ServiceAccountToken token) {
        return !podUid.isEmpty() && pods.gone(podUid, token.issuedAt());
    }

    private Verification judged(ServiceAccountToken token, Verification verification) {
        if (verification instanceof VerifiedClaims claims && ofAnotherNode(claims.node().orElse(""))) {
            return otherNode(token);
        }
        // Checked again, because verification takes time, even if it led to nothing.
        String podUid = verification instanceof VerifiedClaims claims ? claims.podUid() : token.claims().podUid();
        if (!(verification instanceof RejectedToken) && gone(podUid, token)) {
            return podGone();
        }
        metrics.verified(label(verification));
        return verification;
    }

    private RejectedToken podGone() {
        metrics.verified(VerificationVerdict.POD_GONE);
        return RejectedToken.podGone();
    }

    private boolean ofAnotherNode(String node) {
        return nodeName.isPresent() && !node.isEmpty() && !node.equals(nodeName.get());
    }

    private RejectedToken otherNode(ServiceAccountToken token) {
        metrics.verified(VerificationVerdict.OTHER_NODE);
        warn(token);
        return RejectedToken.forbidden("The token belongs to a pod on another node: a token works only on the node that its"
                + " pod runs on");
    }

    private static VerificationVerdict label(Verification verification) {
        if (verification instanceof RejectedToken rejected) {
            return rejected.kind() == RejectedToken.Kind.EXPIRED ? VerificationVerdict.EXPIRED : VerificationVerdict.INVALID;
        }
        if (verification instanceof NotVerified not) {
            return switch (not.reason()) {
                case NO_KEYS -> VerificationVerdict.NO_KEYS;
                case UNKNOWN_KEY -> VerificationVerdict.UNKNOWN_KEY;
                case API_SERVER -> VerificationVerdict.API_SERVER;
                case NOT_PERMITTED -> VerificationVerdict.NOT_PERMITTED;
                case LIMIT -> VerificationVerdict.LIMIT;
                case NO_POD -> VerificationVerdict.NO_POD;
                case OTHER_ISSUER -> VerificationVerdict.OTHER_ISSUER;
                case ERROR, OFF -> VerificationVerdict.ERROR;
            };
        }
        return VerificationVerdict.VERIFIED;
    }

    private void warn(ServiceAccountToken token) {
        if (!warnings.tryTake(nanos.getAsLong())) {
            unwarned++;
            return;
        }
        // Claims, not facts, unless the token was verified.
        WorkloadClaims claims = token.claims();
        LOG.warnf("A token of a pod on another node was presented",
                Field.of("namespace", claims.namespace()),
                Field.of("serviceAccount", claims.serviceAccount()),
                Field.of("pod", claims.pod()),
                Field.of("podNode", claims.node()),
                Field.of("token", token.fingerprint()),
                Field.of("unlogged", unwarned));
        unwarned = 0;
    }
}
