/**
 * Measures agents from the outside, and asserts nothing: {@code mvn -Pbenchmark}, docs/performance.md. Knows no class of the
 * agent.
 */
package dev.podidentity.agent.benchmark;
