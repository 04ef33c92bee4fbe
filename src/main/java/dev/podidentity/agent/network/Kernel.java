package dev.podidentity.agent.network;

import java.io.IOException;
import java.util.List;

/**
 * What setting up the node's link needs of the kernel. Each method throws {@link KernelRefusal} for what the kernel
 * says no to, and another {@link IOException} when it cannot be talked to.
 */
interface Kernel {

    /** All links of this network namespace. */
    List<Link> links() throws IOException;

    /** Where the two addresses are now. */
    List<HeldAddress> addresses() throws IOException;

    /** The routes of the main table that lead to exactly one of the two addresses. */
    List<Route> routes() throws IOException;

    /** Makes a link of type dummy; refuses if the name is taken. */
    void makeDummy(String name) throws IOException;

    void bringUp(Link link) throws IOException;

    /** Gives a link an address that can be bound at once; refuses if the link has it. */
    void addAddress(NodeAddress address, Link link) throws IOException;

    /** Adds a route to the main table; refuses if there is one like it. */
    void addRoute(NodeAddress to, Link link) throws IOException;

    /**
     * A network link.
     *
     * @param index the kernel's number of it
     * @param name what people call it
     * @param kind the kernel's name for the type of a virtual link, such as dummy; empty for one that has no type
     * @param up whether it is switched on
     */
    record Link(int index, String name, String kind, boolean up) {}

    /**
     * A route of the main table to exactly one of the two addresses.
     *
     * @param to where it leads
     * @param type as {@code ip route} names it; only {@code unicast} leads anywhere by a link
     * @param gateway the next hop; empty if there is none
     * @param linkIndex of the link that it takes; 0 if it takes none, or several
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
     * @param linkIndex of the link that has it
     * @param prefixLength that it has there
     */
    record HeldAddress(NodeAddress address, int linkIndex, int prefixLength) {}
}
