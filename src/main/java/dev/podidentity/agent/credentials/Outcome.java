package dev.podidentity.agent.credentials;

import dev.podidentity.agent.eksauth.EksAuthFailure;
import dev.podidentity.agent.observe.CacheOutcome;
import dev.podidentity.agent.token.RejectedToken;

/** What a request for credentials comes to. */
public sealed interface Outcome {

    /** How the cache took part. */
    CacheOutcome cache();

    /** Credentials that are valid now. */
    record Served(Credentials credentials, CacheOutcome cache) implements Outcome {}

    /** No credentials, as the pod whose token was shown has died while it waited. */
    record Rejected(RejectedToken token, CacheOutcome cache) implements Outcome {}

    /** No credentials, and why. */
    record Failed(EksAuthFailure failure, CacheOutcome cache) implements Outcome {}
}
