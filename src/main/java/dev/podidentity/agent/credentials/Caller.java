package dev.podidentity.agent.credentials;

import dev.podidentity.agent.config.CoalesceScope;
import dev.podidentity.agent.eksauth.IssuedCredentials;
import dev.podidentity.agent.token.NotVerified;
import dev.podidentity.agent.token.ServiceAccountToken;
import dev.podidentity.agent.token.ServiceAccountToken.WorkloadClaims;
import dev.podidentity.agent.token.Verification;
import dev.podidentity.agent.token.VerifiedClaims;
import dev.podidentity.agent.verification.LivingPods;
import java.util.Optional;

/**
 * What a request has shown, and the identity that follows from it: one that does not follow cannot be made.
 *
 * @param token the token
 * @param verification what verifying that token gave; never a rejection
 * @param identity whose credentials the request may have
 */
public record Caller(ServiceAccountToken token, Verification verification, Identity identity) {

    /** @throws IllegalArgumentException if the token was rejected, or does not show the identity */
    public Caller {
        if (!(verification instanceof VerifiedClaims || verification instanceof NotVerified)) {
            throw new IllegalArgumentException("A rejected token shows nothing");
        }
        if (!shows(token, verification, identity)) {
            throw new IllegalArgumentException("The token does not show this identity");
        }
    }

    /**
     * Takes what was shown for as much as the scope allows: a workload if that was verified, else the exact token.
     *
     * @param verification what verifying that very token gave
     * @param scope who shares
     * @throws IllegalArgumentException if the token was rejected
     */
    public static Caller of(ServiceAccountToken token, Verification verification, CoalesceScope scope) {
        return new Caller(token, verification, identity(token, verification, scope));
    }

    private static Identity identity(ServiceAccountToken token, Verification verification, CoalesceScope scope) {
        if (scope == CoalesceScope.TOKEN || !(verification instanceof VerifiedClaims claims)) {
            return Identity.of(token);
        }
        return new Identity.VerifiedWorkload(
                claims.issuer(),
                claims.namespace(),
                claims.serviceAccount(),
                claims.serviceAccountUid(),
                scope == CoalesceScope.POD ? Optional.of(claims.podUid()) : Optional.empty());
    }

    private static boolean shows(ServiceAccountToken token, Verification verification, Identity identity) {
        if (identity instanceof Identity.VerifiedWorkload workload) {
            return verification instanceof VerifiedClaims claims
                    && workload.issuer().equals(claims.issuer())
                    && workload.namespace().equals(claims.namespace())
                    && workload.serviceAccount().equals(claims.serviceAccount())
                    && workload.serviceAccountUid().equals(claims.serviceAccountUid())
                    && workload.podUid().map(claims.podUid()::equals).orElse(true);
        }
        return Identity.of(token).equals(identity);
    }

    /** The same, sharing with nobody. */
    Caller alone() {
        return new Caller(token, verification, Identity.of(token));
    }

    /** What the token proves, if it was verified. */
    public Optional<VerifiedClaims> verified() {
        return verification instanceof VerifiedClaims claims ? Optional.of(claims) : Optional.empty();
    }

    /**
     * The UID of the pod, or {@code ""}. Of a token that was not verified this is a claim, true only once EKS Auth has
     * accepted the token; until then it may be used to turn the token away, and for nothing else.
     */
    String podUid() {
        return verification instanceof VerifiedClaims claims ? claims.podUid() : token.claims().podUid();
    }

    /** Whether another has shown the very same token. */
    boolean sameToken(Caller other) {
        return token.fingerprint().equals(other.token.fingerprint());
    }

    /** Whether the pod is known to be gone. */
    boolean gone(LivingPods living) {
        return !podUid().isEmpty() && living.gone(podUid(), token.issuedAt());
    }

    /**
     * Whether an answer of EKS Auth names the namespace and the service account of the token. Where nobody has verified it the
     * token's own claims are compared: EKS Auth, which has accepted the token by then, reads the same. Where verification is
     * off, a token may name none.
     */
    boolean namedBy(IssuedCredentials issued) {
        if (verification instanceof VerifiedClaims claims) {
            return claims.namespace().equals(issued.namespace())
                    && claims.serviceAccount().equals(issued.serviceAccount());
        }
        WorkloadClaims claims = token.claims();
        boolean off = verification instanceof NotVerified not && not.reason() == NotVerified.Reason.OFF;
        boolean nameless = claims.namespace().isEmpty() && claims.serviceAccount().isEmpty();
        return off && nameless
                || claims.namespace().equals(issued.namespace())
                        && claims.serviceAccount().equals(issued.serviceAccount());
    }
}
