/**
 * The command line.
 * Turns commands, flags and their mistakes into configuration, help and exit codes.
 */
package dev.podidentity.agent.cli;
