package dev.podidentity.agent.http;

import dev.podidentity.agent.eksauth.PermanentFailure;
import dev.podidentity.agent.token.VerifiedClaims;

/** Is told of pods that get no credentials until somebody changes something. */
@FunctionalInterface
public interface FailureReport {

    /** A request was refused. Called on the event loop, for each of them; must not block. */
    void failed(VerifiedClaims pod, PermanentFailure failure);
}
