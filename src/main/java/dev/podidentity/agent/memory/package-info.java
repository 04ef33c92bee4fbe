/**
 * What keeps the memory of the native executable small.
 * Checks of the heap against the cache, and pages that are given back to the kernel.
 */
package dev.podidentity.agent.memory;
