/**
 * Substitutions that make the native executable start faster.
 * Each replaces a method of a library, in the native image only; decision 7 describes the benefit of each.
 */
package dev.podidentity.agent.startup;
