/**
 * A real Prometheus with what stands around it in a cluster, and pictures of what it answers. Knows nothing of the faults.
 */
package dev.podidentity.agent.prometheus;
