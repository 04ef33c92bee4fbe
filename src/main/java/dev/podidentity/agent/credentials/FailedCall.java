package dev.podidentity.agent.credentials;

import java.time.Instant;

/**
 * A call to EKS Auth that failed. Holds no secret.
 *
 * @param at when it ended
 * @param code the error's name
 * @param message what to do, and what EKS Auth said
 */
public record FailedCall(Instant at, String code, String message) {}
