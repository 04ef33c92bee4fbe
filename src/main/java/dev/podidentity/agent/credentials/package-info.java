/**
 * The cache of credentials and the calls that fill it: one flight for each identity, renewal before expiry, retries, and the
 * pace at which a node calls EKS Auth.
 */
package dev.podidentity.agent.credentials;
