package dev.podidentity.agent.network;

import java.io.IOException;
import java.util.List;

/**
 * The kernel functions that set up the node's link. Each method throws {@link KernelRefusal} if the kernel refuses, and
 * another {@link IOException} if the kernel cannot be called.
 */
interface Kernel {

    /** Returns all links of this network namespace. */
    List<Link> links() throws IOException;

    /** Returns where the two addresses are now. */
    List<HeldAddress> addresses() throws IOException;

    /** Returns the routes of the main table to exactly one of the two addresses. */
    List<Route> routes() throws IOException;

    /** Creates a link of type dummy; refused if the name is taken. */
    void makeDummy(String name) throws IOException;

    void bringUp(Link link) throws IOException;

    /** Adds an address that can be bound immediately to a link; refused if the link already has it. */
    void addAddress(NodeAddress address, Link link) throws IOException;

    /** Adds a route to the main table; refused if there is an equal one. */
    void addRoute(NodeAddress to, Link link) throws IOException;

    /**
     * A network link.
     *
     * @param index the kernel's number for the link
     * @param name the link's name
     * @param kind the kernel's name for the type of a virtual link, such as dummy; empty if the link has no type
     * @param up whether the link is up
     */
    record Link(int index, String name, String kind, boolean up) {}

    /**
     * A route of the main table to exactly one of the two addresses.
     *
     * @param to the destination
     * @param type the type as in {@code ip route}; only {@code unicast} uses a link
     * @param gateway the next hop; empty if there is none
     * @param linkIndex the index of the route's link; 0 if there is none or more than one
     */
    record Route(NodeAddress to, String type, String gateway, int linkIndex) {

        static final String UNICAST = "unicast";

        boolean takes(Link link) {
            return type.equals(UNICAST) && linkIndex == link.index();
        }
    }

    /**
     * One of the two addresses on a link of this node.
     *
     * @param linkIndex the index of the link
     * @param prefixLength the prefix length on that link
     */
    record HeldAddress(NodeAddress address, int linkIndex, int prefixLength) {}
}
