/**
 * Reading service-account tokens, and what can be said of one.
 * No signature is verified here; {@code verification} does that.
 */
package dev.podidentity.agent.token;
