package dev.podidentity.agent.credentials;

import dev.podidentity.agent.eksauth.EksAuthFailure;
import dev.podidentity.agent.observe.CacheOutcome;
import dev.podidentity.agent.token.RejectedToken;

/** The result of a request for credentials. */
public sealed interface Outcome {

    /** Returns the role of the cache. */
    CacheOutcome cache();

    /** Credentials that are valid now. */
    record Served(Credentials credentials, CacheOutcome cache) implements Outcome {}

    /** No credentials, because the pod was deleted while its request waited. */
    record Rejected(RejectedToken token, CacheOutcome cache) implements Outcome {}

    /** No credentials, with the reason. */
    record Failed(EksAuthFailure failure, CacheOutcome cache) implements Outcome {}
}
