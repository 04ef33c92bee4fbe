/**
 * Parses service-account tokens, and models what is known about one. Does not verify signatures; {@code verification} does.
 */
package dev.podidentity.agent.token;
