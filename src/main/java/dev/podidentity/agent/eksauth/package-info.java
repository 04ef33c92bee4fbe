/**
 * The client of EKS Auth, and the credentials that it signs with.
 * Every answer of EKS Auth becomes a value of {@link dev.podidentity.agent.eksauth.EksAuthAnswer}; nothing is thrown.
 */
package dev.podidentity.agent.eksauth;
