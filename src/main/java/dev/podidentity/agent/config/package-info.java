/**
 * The configuration, and everything that can be said of it before anything runs.
 * Each value is checked when it is read; {@link dev.podidentity.agent.config.CombinedValues} checks them together.
 */
package dev.podidentity.agent.config;
