package dev.podidentity.agent.credentials;

import dev.podidentity.agent.eksauth.PermanentFailure;
import dev.podidentity.agent.loop.BoundedMap;
import dev.podidentity.agent.token.ServiceAccountToken;
import dev.podidentity.agent.token.TokenFingerprint;
import java.util.Optional;

/**
 * The tokens that EKS Auth has refused, and why. What it says of one token stays so until the token expires, after which
 * nobody can show it any more. Bounded: the token that was looked up least recently is forgotten first, and EKS Auth is
 * asked again if it comes once more. Confined to the event loop.
 */
final class RefusedTokens {

    /** Two for each pod of the largest node. */
    static final int CAPACITY = 512;

    private final BoundedMap<TokenFingerprint, PermanentFailure> refusals = new BoundedMap<>(CAPACITY);

    /** Why a token was refused, if it was. */
    Optional<PermanentFailure> refusal(ServiceAccountToken token) {
        return Optional.ofNullable(refusals.get(token.fingerprint()));
    }

    /** Whether a token was refused. */
    boolean contains(ServiceAccountToken token) {
        return refusals.containsKey(token.fingerprint());
    }

    /**
     * Remembers what EKS Auth has refused.
     *
     * @return whether this is news
     */
    boolean add(ServiceAccountToken token, PermanentFailure refusal) {
        return refusals.put(token.fingerprint(), refusal) == null;
    }
}
