package dev.podidentity.agent.network;

/**
 * One of the two addresses on a link of this node.
 *
 * @param linkIndex of the link that has it
 * @param prefixLength that it has there
 */
record HeldAddress(NodeAddress address, int linkIndex, int prefixLength) {}
