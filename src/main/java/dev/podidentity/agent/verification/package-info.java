/** Verifies tokens, with the cluster's signing keys or by token reviews, with limits for each source and in total. */
package dev.podidentity.agent.verification;
