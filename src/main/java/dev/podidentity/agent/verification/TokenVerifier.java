package dev.podidentity.agent.verification;

import dev.podidentity.agent.token.ServiceAccountToken;
import dev.podidentity.agent.token.Verification;
import java.time.Instant;
import java.util.function.Consumer;

/** Finds out whether a token is what it says. Confined to the event loop. */
public interface TokenVerifier {

    /**
     * Verifies a token, now or soon.
     *
     * @param token a token that was read; never changed by this
     * @param source the address that the request came from: what one takes must not be missing to the others
     * @param verdict is called exactly once, on the event loop: before this returns, or within
     *     {@code TokenVerification.PATIENCE}
     */
    void verify(ServiceAccountToken token, String source, Consumer<Verification> verdict);

    /**
     * Returns what {@link #verify} would say at once, as it has said it before and nothing has changed since. Starts
     * nothing. A verifier that remembers nothing knows nothing.
     *
     * @return null if verifying the token would take time
     */
    default Verification known(ServiceAccountToken token, Instant now) {
        return null;
    }
}
