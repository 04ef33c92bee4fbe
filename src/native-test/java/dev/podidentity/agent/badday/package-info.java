/**
 * The history of a bad day of the agent, and the check of what each client saw. Independent of how the agent, its clients and
 * the faults are run.
 */
package dev.podidentity.agent.badday;
