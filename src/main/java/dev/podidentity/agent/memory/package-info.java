/**
 * Keeps the memory of the native executable small.
 * Compares the heap with the size of the cache, returns what an idle agent does not use, and bounds direct memory.
 */
package dev.podidentity.agent.memory;
