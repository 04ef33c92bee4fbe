package dev.podidentity.agent.credentials;

import dev.podidentity.agent.eksauth.EksAuthFailure;

/** The result of a flight for a waiting request. */
sealed interface Landing {

    /** Credentials have arrived. */
    record Succeeded(Credentials credentials) implements Landing {}

    /** No credentials, or not in time. */
    record Failed(EksAuthFailure failure) implements Landing {}

    /** The waiting pod has been deleted. */
    record PodGone() implements Landing {}
}
