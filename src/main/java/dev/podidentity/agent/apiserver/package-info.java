/**
 * The client of the cluster's API server.
 * Single calls and streams with the agent's own service account; what is asked for is in {@code cluster}.
 */
package dev.podidentity.agent.apiserver;
