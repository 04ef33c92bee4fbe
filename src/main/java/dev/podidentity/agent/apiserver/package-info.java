/**
 * The client of the cluster's API server.
 * Makes single calls and streams with the agent's own service account; {@code cluster} decides what to request.
 */
package dev.podidentity.agent.apiserver;
