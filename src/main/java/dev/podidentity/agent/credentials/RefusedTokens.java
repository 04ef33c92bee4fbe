package dev.podidentity.agent.credentials;

import dev.podidentity.agent.eksauth.PermanentFailure;
import dev.podidentity.agent.loop.BoundedMap;
import dev.podidentity.agent.token.ServiceAccountToken;
import dev.podidentity.agent.token.TokenFingerprint;
import java.util.Optional;

/**
 * The tokens that EKS Auth has refused, and why. A refusal of one token is permanent until the token expires, when nobody
 * can present it any more. Bounded: the least recently used token is forgotten first, and EKS Auth is called again if it
 * returns. Confined to the event loop.
 */
final class RefusedTokens {

    /** Two for each pod of the largest node. */
    static final int CAPACITY = 512;

    private final BoundedMap<TokenFingerprint, PermanentFailure> refusals = new BoundedMap<>(CAPACITY);

    /** Returns why a token was refused, if it was. */
    Optional<PermanentFailure> refusal(ServiceAccountToken token) {
        return Optional.ofNullable(refusals.get(token.fingerprint()));
    }

    /** Returns whether a token was refused. */
    boolean contains(ServiceAccountToken token) {
        return refusals.containsKey(token.fingerprint());
    }

    /**
     * Remembers a refusal.
     *
     * @return whether it is new
     */
    boolean add(ServiceAccountToken token, PermanentFailure refusal) {
        return refusals.put(token.fingerprint(), refusal) == null;
    }
}
