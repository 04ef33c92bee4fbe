package dev.podidentity.agent.credentials;

import java.time.Duration;

/**
 * The configuration of fetching and caching credentials.
 *
 * @param retention maximum age of credentials before their renewal; zero turns off caching
 * @param cacheSize maximum number of identities; zero turns off caching
 * @param renewalsPerSecond maximum rate of renewals; zero turns off renewal
 * @param concurrentFetches maximum number of concurrent calls for waiting pods
 * @param flightTimeout time after which calls for one identity end, unless a request waits for them
 */
public record CredentialSettings(
        Duration retention,
        int cacheSize,
        int renewalsPerSecond,
        int concurrentFetches,
        Duration flightTimeout) {

    /** Returns the maximum number of entries. */
    int cacheCapacity() {
        return retention.isZero() ? 0 : cacheSize;
    }
}
