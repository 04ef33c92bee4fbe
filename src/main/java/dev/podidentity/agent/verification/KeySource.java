package dev.podidentity.agent.verification;

import dev.podidentity.agent.outbound.CallFailure;
import io.vertx.core.Future;

/** Publishes the keys with which tokens are signed. */
public interface KeySource {

    /**
     * Fetches the keys. Called on the event loop; never blocks.
     *
     * @return completes once, on the event loop, within some seconds; fails with a {@link CallFailure}
     */
    Future<PublishedKeys> fetch();

    /**
     * Published keys.
     *
     * @param issuer the {@code iss} of the tokens that they verify
     * @param jwks a JSON Web Key Set, not yet parsed
     */
    record PublishedKeys(String issuer, String jwks) {}
}
