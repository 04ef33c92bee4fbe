package dev.podidentity.agent.credentials;

import java.time.Duration;

/**
 * What is configured about getting and keeping credentials.
 *
 * @param retention the age at which credentials are renewed at the latest; zero turns caching off
 * @param cacheSize how many identities are kept; zero turns caching off
 * @param renewalsPerSecond how many renewals may start in a second; zero turns renewal off
 * @param concurrentFetches how many calls for waiting pods may be under way at once
 * @param flightTimeout the time after which calls for one identity end, unless somebody waits for them
 */
public record CredentialSettings(
        Duration retention,
        int cacheSize,
        int renewalsPerSecond,
        int concurrentFetches,
        Duration flightTimeout) {

    /** How many entries the cache has room for. */
    int cacheCapacity() {
        return retention.isZero() ? 0 : cacheSize;
    }
}
