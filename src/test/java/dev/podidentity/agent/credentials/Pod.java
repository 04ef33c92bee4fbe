package dev.podidentity.agent.credentials;

import dev.podidentity.agent.config.CoalesceScope;
import dev.podidentity.agent.testing.FakeTime;
import dev.podidentity.agent.token.NotVerified;
import dev.podidentity.agent.token.ServiceAccountToken;
import dev.podidentity.agent.token.ServiceAccountToken.WorkloadClaims;
import dev.podidentity.agent.token.VerifiedClaims;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;

/** A pod and the tokens that the API server issues to it. Two tokens with the same number are the same token. */
record Pod(String namespace, String serviceAccount, String serviceAccountUid, String name, String uid) {

    static final String ISSUER = "https://issuer.example";
    private static final Duration TOKEN_LIFETIME = Duration.ofHours(24);

    /** Returns a pod of the service account {@code shop/cart}. */
    static Pod of(String name) {
        return new Pod("shop", "cart", "cart-uid", name, name + "-uid");
    }

    ServiceAccountToken token(int number, Instant expiresAt) {
        return TokenBuilder.of(uid + "/" + number)
                .claiming(new WorkloadClaims(namespace, serviceAccount, name, uid, ""))
                .expiringAt(expiresAt)
                .build();
    }

    VerifiedClaims claims() {
        return new VerifiedClaims(
                ISSUER, namespace, serviceAccount, serviceAccountUid, name, uid, Optional.of("node"));
    }

    Caller verified(CoalesceScope scope, int number, Instant expiresAt) {
        return Caller.of(token(number, expiresAt), claims(), scope);
    }

    /** Returns a caller with the pod's first token, verified. */
    Caller verified(CoalesceScope scope) {
        return verified(scope, 1, FakeTime.START.plus(TOKEN_LIFETIME));
    }

    /** Returns a caller with the pod's first token, at a time when no signing keys are available. */
    Caller unverified(CoalesceScope scope) {
        return Caller.of(
                token(1, FakeTime.START.plus(TOKEN_LIFETIME)), new NotVerified(NotVerified.Reason.NO_KEYS), scope);
    }
}
