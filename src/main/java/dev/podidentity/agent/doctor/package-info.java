/**
 * The checks of the command doctor: each looks at one thing, and says what it saw and what to do.
 * Knows nothing of how the agent serves; nothing of it exists in server.
 */
package dev.podidentity.agent.doctor;
