/**
 * Metrics, logs and health.
 * What the agent reports about itself. Nothing here stores or writes a secret.
 */
package dev.podidentity.agent.observe;
