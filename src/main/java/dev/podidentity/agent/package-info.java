/**
 * The agent: its startup, assembly and shutdown.
 * Packages below this one receive what they need; only this package creates objects from the configuration.
 */
package dev.podidentity.agent;
