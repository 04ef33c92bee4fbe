package dev.podidentity.agent.verification;

import dev.podidentity.agent.token.ServiceAccountToken;
import dev.podidentity.agent.token.Verification;
import java.time.Instant;
import java.util.function.Consumer;

/** Verifies tokens. Confined to the event loop. */
public interface TokenVerifier {

    /**
     * Verifies a token, now or soon.
     *
     * @param token a parsed token
     * @param source the client's address, so that one source cannot exhaust what all share
     * @param verdict called exactly once, on the event loop: before this returns, or within {@code
     *     TokenVerification.PATIENCE}
     */
    void verify(ServiceAccountToken token, String source, Consumer<Verification> verdict);

    /**
     * Returns the result that {@link #verify} would return immediately, because it is remembered and nothing has changed
     * since. Starts nothing. A verifier without memory knows nothing.
     *
     * @return null if verifying the token would take time
     */
    default Verification known(ServiceAccountToken token, Instant now) {
        return null;
    }
}
