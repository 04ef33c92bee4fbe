/**
 * What keeps the memory of the native executable small.
 * Checks the heap against the size of the cache, and refuses direct memory beyond its limit at once.
 */
package dev.podidentity.agent.memory;
