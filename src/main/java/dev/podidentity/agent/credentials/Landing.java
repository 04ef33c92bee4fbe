package dev.podidentity.agent.credentials;

import dev.podidentity.agent.eksauth.EksAuthFailure;

/** What those who wait for a flight are given. */
sealed interface Landing {

    /** Credentials came. */
    record Succeeded(Credentials credentials) implements Landing {}

    /** None came, or not in time. */
    record Failed(EksAuthFailure failure) implements Landing {}

    /** The waiting pod has died. */
    record PodGone() implements Landing {}
}
