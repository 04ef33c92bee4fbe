package dev.podidentity.agent.network;

import dev.podidentity.agent.network.Kernel.HeldAddress;
import dev.podidentity.agent.network.Kernel.Link;
import dev.podidentity.agent.network.Kernel.Route;
import java.io.IOException;
import java.util.List;
import java.util.Optional;

/**
 * What there is of the node's link, for whoever only looks.
 *
 * @param link the agent's own link; empty if there is none
 * @param addresses where the agent's addresses are, on any link
 * @param routes of the main table that lead to exactly one of the addresses
 */
public record LinkState(Optional<OwnLink> link, List<Held> addresses, List<Towards> routes) {

    /** The address that pods ask over IPv4. */
    public static final String IPV4 = NodeAddress.IPV4.toString();
    /** The address that pods ask over IPv6. */
    public static final String IPV6 = NodeAddress.IPV6.toString();

    /**
     * Reads it in the network namespace of this process. Blocks, for milliseconds; for the main thread, before it has started
     * others.
     *
     * @return empty on a JVM, which cannot talk to the kernel
     * @throws IOException if the kernel does not tell
     */
    public static Optional<LinkState> read() throws IOException {
        if (!Libc.available()) {
            return Optional.empty();
        }
        try (NetlinkSocket socket = LinuxNetlinkSocket.open(LinuxNetlinkSocket.NETLINK_ROUTE)) {
            return Optional.of(of(new Rtnetlink(socket)));
        }
    }

    static LinkState of(Kernel kernel) throws IOException {
        List<Link> links = kernel.links();
        return new LinkState(
                links.stream()
                        .filter(link -> link.name().equals(NodeLink.NAME))
                        .findFirst()
                        .map(link -> new OwnLink(link.name(), link.kind(), link.up())),
                kernel.addresses().stream().map(held -> held(held, links)).toList(),
                kernel.routes().stream().map(route -> towards(route, links)).toList());
    }

    private static Held held(HeldAddress held, List<Link> links) {
        Link link = NodeLink.numbered(held.linkIndex(), links);
        return new Held(
                held.address().toString(),
                link.name(),
                held.prefixLength(),
                held.prefixLength() == held.address().bits(),
                NodeLink.ours(link));
    }

    private static Towards towards(Route route, List<Link> links) {
        Link link = NodeLink.numbered(route.linkIndex(), links);
        return new Towards(
                route.to().toString(),
                NodeLink.described(route, link),
                (route.to() == NodeAddress.IPV6 ? "ip -6" : "ip") + " route delete " + NodeLink.described(route, link),
                route.takes(link) && NodeLink.ours(link));
    }

    /**
     * The link that {@code initialize} makes.
     *
     * @param kind the type of a virtual link, such as dummy; empty for one that has no type
     */
    public record OwnLink(String name, String kind, boolean up) {}

    /**
     * One of the agent's addresses on a link.
     *
     * @param whole whether the prefix is the address alone
     * @param ours whether what leads to that link leads to this agent
     */
    public record Held(String address, String link, int prefixLength, boolean whole, boolean ours) {}

    /**
     * A route to one of the agent's addresses.
     *
     * @param to the address
     * @param described as {@code ip route} has it
     * @param removal the command that removes it
     * @param ours whether it leads to this agent
     */
    public record Towards(String to, String described, String removal, boolean ours) {}
}
