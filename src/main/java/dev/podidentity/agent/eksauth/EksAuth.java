package dev.podidentity.agent.eksauth;

import dev.podidentity.agent.token.ServiceAccountToken;
import java.util.concurrent.CompletionStage;

/** Exchanges a token for credentials: the one authority on whose pod gets what. */
public interface EksAuth {

    /**
     * Makes one call, with no retry. Called on the event loop; never blocks.
     *
     * @return completes once, never exceptionally, on any thread, within the time that one attempt may take
     */
    CompletionStage<EksAuthAnswer> assumeRole(ServiceAccountToken token);
}
