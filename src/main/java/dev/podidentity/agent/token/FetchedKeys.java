package dev.podidentity.agent.token;

import dev.podidentity.agent.token.KeySource.PublishedKeys;
import java.time.Instant;

/**
 * Keys that were fetched.
 *
 * @param published as they were published
 * @param keys the same, read
 * @param fetchedAt when
 */
record FetchedKeys(PublishedKeys published, VerificationKeys keys, Instant fetchedAt) {}
