/**
 * The node's link, its addresses and sockets, through the kernel's own interfaces.
 * Netlink for links, addresses, routes and listening sockets; C functions for what Java does not offer.
 */
package dev.podidentity.agent.network;
