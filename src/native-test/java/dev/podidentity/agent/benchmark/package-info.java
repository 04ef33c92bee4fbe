/**
 * Measures agents from the outside, without assertions: {@code mvn -Pbenchmark}, docs/performance.md. Uses no class of the
 * agent.
 */
package dev.podidentity.agent.benchmark;
