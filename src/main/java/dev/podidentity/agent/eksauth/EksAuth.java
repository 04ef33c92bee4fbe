package dev.podidentity.agent.eksauth;

import dev.podidentity.agent.token.ServiceAccountToken;
import java.util.concurrent.CompletionStage;

/** Exchanges a token for credentials. EKS Auth alone decides which pod gets what. */
public interface EksAuth {

    /**
     * Makes one call, without retries. Called on the event loop; never blocks.
     *
     * @return completes once, never exceptionally, on any thread, within the timeout of one attempt
     */
    CompletionStage<EksAuthAnswer> assumeRole(ServiceAccountToken token);
}
