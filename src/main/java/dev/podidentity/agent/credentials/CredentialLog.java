package dev.podidentity.agent.credentials;

import dev.podidentity.agent.eksauth.EksAuthAnswer;
import dev.podidentity.agent.eksauth.EksAuthFailure;
import dev.podidentity.agent.eksauth.IssuedCredentials;
import dev.podidentity.agent.eksauth.PermanentFailure;
import dev.podidentity.agent.eksauth.TransientFailure;
import dev.podidentity.agent.loop.TokenBucket;
import dev.podidentity.agent.observe.Field;
import dev.podidentity.agent.observe.Metrics;
import dev.podidentity.agent.observe.UpstreamOutcome;
import java.time.Duration;
import java.util.function.LongSupplier;
import org.jboss.logging.Logger;

/**
 * Logs and counts calls to EKS Auth. Warnings are rate-limited: a pod that makes up tokens must not fill the node's disk,
 * and many failures have a single cause. Confined to the event loop.
 */
final class CredentialLog {

    private static final Logger LOG = Logger.getLogger(CredentialService.class);
    private static final int WARNINGS_PER_SECOND = 5;
    private static final int WARNINGS_AT_ONCE = 100;

    private final Metrics metrics;
    private final LongSupplier nanos;
    private final TokenBucket warnings;
    /** Warnings omitted since the last one. */
    private long unwarned;

    CredentialLog(Metrics metrics, LongSupplier nanos) {
        this.metrics = metrics;
        this.nanos = nanos;
        this.warnings = new TokenBucket(WARNINGS_PER_SECOND, WARNINGS_AT_ONCE, nanos.getAsLong());
    }

    /** A call has ended. */
    void called(Flight flight, EksAuthAnswer answer, Duration took) {
        if (answer instanceof IssuedCredentials issued) {
            metrics.called(UpstreamOutcome.SUCCESS, "none", took.toNanos());
            LOG.infof("EKS Auth issued credentials",
                    Field.of("namespace", issued.namespace()),
                    Field.of("serviceAccount", issued.serviceAccount()),
                    Field.of("pod", flight.caller().token().claims().pod()),
                    Field.of("role", issued.roleArn()),
                    Field.of("association", issued.associationId()),
                    Field.of("expiration", issued.expiration()),
                    Field.of("millis", took.toMillis()),
                    Field.of("purpose", purpose(flight)));
            return;
        }
        EksAuthFailure failure = (EksAuthFailure) answer;
        if (failure instanceof TransientFailure trouble) {
            metrics.upstreamFailed(trouble.reason().counted());
        }
        if (!noCall(failure)) {
            metrics.called(
                    failure instanceof PermanentFailure ? UpstreamOutcome.REFUSED : UpstreamOutcome.FAILED,
                    failure.code(),
                    took.toNanos());
            LOG.debugf("A call to EKS Auth failed",
                    Field.of("code", failure.code()),
                    Field.of("remedy", failure.message()),
                    Field.of("said", failure.said().inWords()),
                    Field.of("attempt", flight.attempts()),
                    Field.of("millis", took.toMillis()));
        }
    }

    /** Calls for all identities have started to fail. */
    void outageBegan(TransientFailure failure) {
        metrics.outage(true);
        LOG.warnf("Calls to EKS Auth fail for all pods of this node; only occasional calls are made until one succeeds",
                Field.of("code", failure.code()),
                Field.of("remedy", failure.message()),
                Field.of("said", failure.said().inWords()));
    }

    /** EKS Auth has responded again. */
    void outageEnded() {
        metrics.outage(false);
        LOG.infof("Calls to EKS Auth succeed again");
    }

    /** EKS Auth has returned credentials of another service account. */
    void wrongSubject(Caller caller, IssuedCredentials issued) {
        metrics.wrongSubject();
        if (mayWarn()) {
            LOG.errorf("EKS Auth returned credentials of another service account; they are not used",
                    Field.of("namespace", caller.token().claims().namespace()),
                    Field.of("serviceAccount", caller.token().claims().serviceAccount()),
                    Field.of("pod", caller.token().claims().pod()),
                    Field.of("answeredNamespace", issued.namespace()),
                    Field.of("answeredServiceAccount", issued.serviceAccount()),
                    Field.of("association", issued.associationId()),
                    Field.of("unlogged", unwarned));
            unwarned = 0;
        }
    }

    /** A flight has ended without credentials, or a token was refused. */
    void failed(Flight flight, EksAuthFailure failure) {
        if (mayWarn()) {
            LOG.warnf("No credentials from EKS Auth",
                    Field.of("code", failure.code()),
                    Field.of("remedy", failure.message()),
                    Field.of("said", failure.said().inWords()),
                    // Claims, which are facts only if the token was verified.
                    Field.of("namespace", flight.caller().token().claims().namespace()),
                    Field.of("serviceAccount", flight.caller().token().claims().serviceAccount()),
                    Field.of("pod", flight.caller().token().claims().pod()),
                    Field.of("token", flight.caller().token().fingerprint()),
                    Field.of("attempts", flight.attempts()),
                    Field.of("purpose", purpose(flight)),
                    Field.of("unlogged", unwarned));
            unwarned = 0;
        }
    }

    private boolean mayWarn() {
        boolean may = warnings.tryTake(nanos.getAsLong());
        if (!may) {
            unwarned++;
        }
        return may;
    }

    private static String purpose(Flight flight) {
        return flight.renewal() ? "renewal" : "request";
    }

    private static boolean noCall(EksAuthFailure failure) {
        return failure instanceof TransientFailure trouble && trouble.reason() == TransientFailure.Reason.NOT_READY;
    }
}
