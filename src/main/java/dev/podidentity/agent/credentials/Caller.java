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
 * A token, its verification, and the identity that follows from both. A caller whose identity does not follow cannot be
 * created.
 *
 * @param token the token
 * @param verification the result of verifying this token; never a rejection
 * @param identity whose credentials the request may have
 */
public record Caller(ServiceAccountToken token, Verification verification, Identity identity) {

    /** @throws IllegalArgumentException if the token was rejected, or does not prove the identity */
    public Caller {
        if (!(verification instanceof VerifiedClaims || verification instanceof NotVerified)) {
            throw new IllegalArgumentException("A rejected token shows nothing");
        }
        if (!shows(token, verification, identity)) {
            throw new IllegalArgumentException("The token does not show this identity");
        }
    }

    /**
     * Returns the widest identity that the scope allows: the workload if it was verified, otherwise the exact token.
     *
     * @param verification the result of verifying this token
     * @param scope which requests share credentials
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

    /** Returns the same caller with the identity of its exact token. */
    Caller alone() {
        return new Caller(token, verification, Identity.of(token));
    }

    /** Returns the proven claims, if the token was verified. */
    public Optional<VerifiedClaims> verified() {
        return verification instanceof VerifiedClaims claims ? Optional.of(claims) : Optional.empty();
    }

    /**
     * Returns the UID of the pod, or {@code ""}. For an unverified token this is a claim, which is true only once EKS Auth
     * has accepted the token. Until then it may only be used to reject the token.
     */
    String podUid() {
        return verification instanceof VerifiedClaims claims ? claims.podUid() : token.claims().podUid();
    }

    /** Returns whether another caller has presented the same token. */
    boolean sameToken(Caller other) {
        return token.fingerprint().equals(other.token.fingerprint());
    }

    /** Returns whether the pod is known to be deleted. */
    boolean gone(LivingPods living) {
        return !podUid().isEmpty() && living.gone(podUid(), token.issuedAt());
    }

    /**
     * Returns whether a response of EKS Auth names the token's namespace and service account. For an unverified token, its
     * own claims are compared: EKS Auth, which has accepted the token by then, reads the same ones. With verification off, a
     * token may name none.
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
