/** The command line: turns commands, flags and errors in them into configuration, help and exit codes. */
package dev.podidentity.agent.cli;
