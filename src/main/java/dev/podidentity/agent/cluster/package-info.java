/**
 * What the agent reads from the cluster and reports to it.
 * Signing keys, token reviews, the pods of this node, Events, and the startup taint.
 */
package dev.podidentity.agent.cluster;
