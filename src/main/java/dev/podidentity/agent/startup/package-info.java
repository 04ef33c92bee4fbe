/**
 * Substitutions that make the native executable start faster.
 * Each replaces a method of a library in the native image only; decision 7 has what each is good for.
 */
package dev.podidentity.agent.startup;
