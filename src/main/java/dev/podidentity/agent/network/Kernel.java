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
}
