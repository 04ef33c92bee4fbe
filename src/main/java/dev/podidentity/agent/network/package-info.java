/**
 * The node's link, its addresses and sockets, through kernel interfaces.
 * Uses netlink for links, addresses, routes and listening sockets, and C functions for what Java does not offer.
 */
package dev.podidentity.agent.network;
