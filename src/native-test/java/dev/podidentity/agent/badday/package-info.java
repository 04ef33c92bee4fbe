/**
 * What happens on a bad day of the agent, and the check of what each client saw. Knows nothing of how the agent, its clients
 * and the troubles are run.
 */
package dev.podidentity.agent.badday;
