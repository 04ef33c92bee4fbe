/**
 * The checks of the command doctor. Each checks one thing, and says what it found and what to do. Independent of how the
 * agent serves, and not used by server.
 */
package dev.podidentity.agent.doctor;
