package dev.podidentity.agent.network;

import dev.podidentity.agent.network.Kernel.HeldAddress;
import dev.podidentity.agent.network.Kernel.Link;
import dev.podidentity.agent.network.Kernel.Route;
import java.io.IOException;
import java.util.List;
import java.util.Optional;

/**
 * The state of the node's link, for code that only inspects it.
 *
 * @param link the agent's own link; empty if there is none
 * @param addresses where the agent's addresses are, on any link
 * @param routes the routes of the main table to exactly one of the addresses
 */
public record LinkState(Optional<OwnLink> link, List<Held> addresses, List<Towards> routes) {

    /** The address that pods use over IPv4. */
    public static final String IPV4 = NodeAddress.IPV4.toString();
    /** The address that pods use over IPv6. */
    public static final String IPV6 = NodeAddress.IPV6.toString();

    /**
     * Reads the state in the network namespace of this process. Blocks for milliseconds; the main thread must call this
     * before it starts others.
     *
     * @return empty on a JVM, which cannot query the kernel
     * @throws IOException if the kernel does not return the state
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
     * The link that {@code initialize} creates.
     *
     * @param kind the type of a virtual link, such as dummy; empty if the link has no type
     */
    public record OwnLink(String name, String kind, boolean up) {}

    /**
     * One of the agent's addresses on a link.
     *
     * @param whole whether the prefix contains only this address
     * @param ours whether traffic to that link reaches this agent
     */
    public record Held(String address, String link, int prefixLength, boolean whole, boolean ours) {}

    /**
     * A route to one of the agent's addresses.
     *
     * @param to the address
     * @param described the route as {@code ip route} shows it
     * @param removal the command that removes it
     * @param ours whether it leads to this agent
     */
    public record Towards(String to, String described, String removal, boolean ours) {}
}
