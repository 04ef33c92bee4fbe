/**
 * What all calls that leave the node share.
 * Proxies, certificate authorities, and how a call fails.
 */
package dev.podidentity.agent.outbound;
