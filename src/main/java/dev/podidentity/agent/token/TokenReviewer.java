package dev.podidentity.agent.token;

import io.vertx.core.Future;

/** Lets the API server judge a token. */
public interface TokenReviewer {

    /**
     * Makes one call. Called on the event loop; never blocks.
     *
     * @return completes once, on the event loop, within some seconds; fails with a {@link SourceFailure}
     */
    Future<Verification> review(ServiceAccountToken token);
}
