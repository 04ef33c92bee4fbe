package dev.podidentity.agent.network;

/**
 * A network link.
 *
 * @param index the kernel's number of it
 * @param name what people call it
 * @param kind the kernel's name for the type of a virtual link, such as dummy; empty for one that has no type
 * @param up whether it is switched on
 */
record Link(int index, String name, String kind, boolean up) {}
