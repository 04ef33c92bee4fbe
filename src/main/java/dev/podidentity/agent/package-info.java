/**
 * The agent: what starts it, puts it together and stops it.
 * Everything below this package is handed what it needs; only here are objects made from configuration.
 */
package dev.podidentity.agent;
