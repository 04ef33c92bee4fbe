package dev.podidentity.agent.http;

import dev.podidentity.agent.eksauth.PermanentFailure;
import dev.podidentity.agent.token.VerifiedClaims;

/** Receives refusals that last until somebody changes the configuration. */
@FunctionalInterface
public interface FailureReport {

    /** Called on the event loop for each refused request; must not block. */
    void failed(VerifiedClaims pod, PermanentFailure failure);
}
