/**
 * Finding out whether a token is genuine.
 * With the cluster's signing keys or by token reviews, each bounded by source and in all.
 */
package dev.podidentity.agent.verification;
