/**
 * What all calls that leave the node share.
 * Proxies, certificate authorities, and call failures.
 */
package dev.podidentity.agent.outbound;
