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
 * What becomes of a token after it was read: verified if somebody can, and turned away if it is of a pod of another
 * node or of a pod that is gone. Confined to the event loop.
 */
public final class TokenVerification {

    /**
     * How long a request waits for its verdict: a third of the time that it has as a whole, so that there is time left
     * for EKS Auth.
     */
    public static final Duration PATIENCE = Duration.ofMillis(300);

    /** How far this node's clock may be behind the API server's, which itself allows others a minute. */
    public static final Duration LEEWAY = Duration.ofSeconds(30);

    private static final Logger LOG = Logger.getLogger(TokenVerification.class);
    /** A stolen token is used over and over; one line tells as much as a thousand. */
    private static final double WARNINGS_PER_SECOND = 0.1;
    private static final int WARNINGS_AT_ONCE = 10;
    private static final NotVerified OFF = new NotVerified(Reason.OFF);

    private final Optional<TokenVerifier> verifier;
    private final Optional<String> nodeName;
    private final LivingPods pods;
    private final Metrics metrics;
    private final LongSupplier nanos;
    private final TokenBucket warnings;
    /** Warnings that were left out since the last one. */
    private long unwarned;

    /**
     * @param verifier empty if verification is off
     * @param nodeName the name of this node, if it is known; without it the node that a token names is not looked at
     * @param pods which pods live
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
     * Finds out what a token proves.
     *
     * @param token that was read
     * @param source the address that the request came from
     * @param verdict is called exactly once, on the event loop: before this returns, or within {@link #PATIENCE}
     */
    public void verify(ServiceAccountToken token, String source, Consumer<Verification> verdict) {
        // Its claims are not verified, but all that they can do here is to have it rejected.
        if (gone(token.claims().podUid(), token)) {
            verdict.accept(podGone());
        } else if (verifier.isEmpty()) {
            verdict.accept(OFF);
        } else if (ofAnotherNode(token.claims().node())) {
            // Before it is verified: whoever shows a stolen token must not get round this by keeping it from being verified.
            verdict.accept(otherNode(token));
        } else {
            verifier.get().verify(token, source, verified -> verdict.accept(judged(token, verified)));
        }
    }

    /**
     * Returns the verdict that {@link #verify} would give at once. Starts nothing and counts nothing; whoever uses the
     * verdict calls {@link #used}.
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

    /** A request was served with a verdict that {@link #known} gave. */
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
        // Again, as verifying takes time, though it may have come to nothing.
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
        return RejectedToken.forbidden("The token belongs to a pod on another node: a token works only on the node where its pod runs"
                + " on");
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
