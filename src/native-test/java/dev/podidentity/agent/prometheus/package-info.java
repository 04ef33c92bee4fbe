/**
 * A real Prometheus with its surroundings in a cluster, and pictures of query results. Must not know the faults of the tests.
 */
package dev.podidentity.agent.prometheus;
