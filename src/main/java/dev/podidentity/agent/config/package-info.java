/**
 * The configuration, and all checks of it that need nothing else to run.
 * Each value is checked when it is read; {@link dev.podidentity.agent.config.CombinedValues} checks them together.
 */
package dev.podidentity.agent.config;
