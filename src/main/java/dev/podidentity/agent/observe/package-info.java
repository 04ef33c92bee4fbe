/**
 * Metrics, logs and health.
 * What the agent shows of itself. Nothing here holds or writes a secret.
 */
package dev.podidentity.agent.observe;
