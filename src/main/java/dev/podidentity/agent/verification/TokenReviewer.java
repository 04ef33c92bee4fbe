package dev.podidentity.agent.verification;

import dev.podidentity.agent.outbound.CallFailure;
import dev.podidentity.agent.token.ServiceAccountToken;
import dev.podidentity.agent.token.Verification;
import io.vertx.core.Future;

/** Has the API server review a token. */
public interface TokenReviewer {

    /**
     * Makes one call. Called on the event loop; never blocks.
     *
     * @return completes once, on the event loop, within some seconds; fails with a {@link CallFailure}
     */
    Future<Verification> review(ServiceAccountToken token);
}
