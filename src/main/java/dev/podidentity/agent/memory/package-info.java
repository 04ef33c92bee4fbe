/**
 * What keeps the memory of the native executable small.
 * Checks the heap against the size of the cache, returns what an idle agent does not use, and bounds direct memory.
 */
package dev.podidentity.agent.memory;
