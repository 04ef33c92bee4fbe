/**
 * What the agent asks of the cluster, and what it tells it.
 * Signing keys, token reviews, the pods of this node, Events, and the startup taint.
 */
package dev.podidentity.agent.cluster;
