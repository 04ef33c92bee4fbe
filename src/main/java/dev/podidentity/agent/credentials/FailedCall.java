package dev.podidentity.agent.credentials;

import java.time.Instant;

/**
 * A failed call to EKS Auth. Holds no secret.
 *
 * @param at when it ended
 * @param code the error code
 * @param message what to do, and what EKS Auth said
 */
public record FailedCall(Instant at, String code, String message) {}
