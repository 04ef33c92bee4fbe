/**
 * The client of EKS Auth, and the credentials that sign its calls.
 * Every response of EKS Auth becomes an {@link dev.podidentity.agent.eksauth.EksAuthAnswer}; nothing is thrown.
 */
package dev.podidentity.agent.eksauth;
