package dev.podidentity.agent.network;

import dev.podidentity.agent.network.Kernel.HeldAddress;
import dev.podidentity.agent.network.Kernel.Link;
import dev.podidentity.agent.network.Kernel.Route;
import dev.podidentity.agent.network.NetlinkMessage.Attributes;
import dev.podidentity.agent.network.NetlinkMessage.Builder;
import java.io.IOException;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Speaks the kernel's rtnetlink protocol over a socket. It sends one request at a time and reads the complete response
 * before the next. The numbers are those of linux/netlink.h, linux/rtnetlink.h, linux/if_link.h and linux/if_addr.h.
 */
final class Rtnetlink implements Kernel {

    static final int NLMSG_ERROR = 2;
    static final int NLMSG_DONE = 3;
    static final int NLMSG_OVERRUN = 4;

    static final int NLM_F_REQUEST = 0x1;
    static final int NLM_F_ACK = 0x4;
    /** The listed items changed while they were read. */
    static final int NLM_F_DUMP_INTR = 0x10;
    static final int NLM_F_DUMP = 0x300;
    static final int NLM_F_EXCL = 0x200;
    static final int NLM_F_CREATE = 0x400;
    /** In an error: only the header of the request is repeated. */
    static final int NLM_F_CAPPED = 0x100;
    /** In an error: attributes follow. */
    static final int NLM_F_ACK_TLVS = 0x200;
    static final int NLMSGERR_ATTR_MSG = 1;

    static final int RTM_NEWLINK = 16;
    static final int RTM_GETLINK = 18;
    static final int RTM_NEWADDR = 20;
    static final int RTM_GETADDR = 22;
    static final int RTM_NEWROUTE = 24;
    static final int RTM_GETROUTE = 26;

    static final int IFF_UP = 0x1;
    static final int IFLA_IFNAME = 3;
    static final int IFLA_LINKINFO = 18;
    static final int IFLA_INFO_KIND = 1;
    static final int IFLA_EXT_MASK = 29;
    static final int RTEXT_FILTER_SKIP_STATS = 0x8;

    static final int IFA_ADDRESS = 1;
    static final int IFA_LOCAL = 2;
    static final int IFA_CACHEINFO = 6;
    static final int IFA_FLAGS = 8;
    static final int IFA_F_NODAD = 0x2;
    static final int IFA_F_NOPREFIXROUTE = 0x200;

    static final int RTA_DST = 1;
    static final int RTA_OIF = 4;
    static final int RTA_GATEWAY = 5;
    static final int RTA_TABLE = 15;
    static final int RT_TABLE_MAIN = 254;
    static final int RTPROT_STATIC = 4;
    static final int RT_SCOPE_UNIVERSE = 0;
    static final int RT_SCOPE_LINK = 253;
    static final int RTN_UNICAST = 1;
    static final int RTM_F_CLONED = 0x200;
    /** Route types in numeric order, as {@code ip route} names them. */
    private static final List<String> ROUTE_TYPES = List.of("unspec", Route.UNICAST, "local", "broadcast", "anycast",
            "multicast", "blackhole", "unreachable", "prohibit", "throw", "nat");

    private static final int ANY_FAMILY = 0;
    private static final int LINK_HEADER = 16;
    private static final int ADDRESS_HEADER = 8;
    private static final int ROUTE_HEADER = 12;
    private static final int ERROR_HEADER = Integer.BYTES + NetlinkMessage.HEADER;
    private static final int FOREVER = -1;
    /**
     * On a node that starts many pods, links come and go while they are listed, but not in this many consecutive attempts.
     */
    private static final int TRIES = 20;

    private final NetlinkSocket socket;
    private int sequence;

    Rtnetlink(NetlinkSocket socket) {
        this.socket = socket;
    }

    @Override
    public List<Link> links() throws IOException {
        List<Link> links = new ArrayList<>();
        // Statistics are skipped: they are most of the data of a link and are not needed.
        for (NetlinkMessage message : dump(RTM_NEWLINK, request(RTM_GETLINK, NLM_F_DUMP)
                .bytes(ANY_FAMILY, 0, 0, 0).number(0).number(0).number(0)
                .attribute(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS))) {
            ByteBuffer fixed = message.fixed(LINK_HEADER);
            Attributes attributes = message.attributes(LINK_HEADER);
            links.add(new Link(
                    fixed.getInt(4),
                    attributes.text(IFLA_IFNAME).orElse(""),
                    attributes.nested(IFLA_LINKINFO).text(IFLA_INFO_KIND).orElse(""),
                    (fixed.getInt(8) & IFF_UP) != 0));
        }
        return links;
    }

    @Override
    public List<HeldAddress> addresses() throws IOException {
        List<HeldAddress> held = new ArrayList<>();
        for (NetlinkMessage message : dump(RTM_NEWADDR, request(RTM_GETADDR, NLM_F_DUMP).bytes(ANY_FAMILY, 0, 0, 0).number(0))) {
            ByteBuffer fixed = message.fixed(ADDRESS_HEADER);
            Attributes attributes = message.attributes(ADDRESS_HEADER);
            // On a point-to-point link IFA_ADDRESS is the remote end; on others, IPv6 has only IFA_ADDRESS.
            Optional<byte[]> local = attributes.bytes(IFA_LOCAL).or(() -> attributes.bytes(IFA_ADDRESS));
            local.flatMap(bytes -> NodeAddress.of(fixed.get(0), bytes))
                    .ifPresent(address -> held.add(new HeldAddress(address, fixed.getInt(4), fixed.get(1) & 0xff)));
        }
        return held;
    }

    @Override
    public List<Route> routes() throws IOException {
        List<Route> routes = new ArrayList<>();
        for (NetlinkMessage message : dump(RTM_NEWROUTE, request(RTM_GETROUTE, NLM_F_DUMP)
                .bytes(ANY_FAMILY, 0, 0, 0, 0, 0, 0, 0).number(0))) {
            ByteBuffer fixed = message.fixed(ROUTE_HEADER);
            Attributes attributes = message.attributes(ROUTE_HEADER);
            int table = attributes.number(RTA_TABLE).orElse(fixed.get(4) & 0xff);
            boolean cached = (fixed.getInt(8) & RTM_F_CLONED) != 0;
            if (table == RT_TABLE_MAIN && !cached) {
                int length = fixed.get(1) & 0xff;
                Optional<NodeAddress> to = attributes.bytes(RTA_DST)
                        .flatMap(bytes -> NodeAddress.of(fixed.get(0), bytes))
                        .filter(address -> address.bits() == length);
                if (to.isPresent()) {
                    routes.add(new Route(to.get(), routeType(fixed.get(7)), gateway(attributes),
                            attributes.number(RTA_OIF).orElse(0)));
                }
            }
        }
        return routes;
    }

    private static String routeType(int number) {
        return number > 0 && number < ROUTE_TYPES.size() ? ROUTE_TYPES.get(number) : "type " + number;
    }

    private static String gateway(Attributes attributes) throws UnknownHostException {
        Optional<byte[]> gateway = attributes.bytes(RTA_GATEWAY);
        return gateway.isPresent() ? InetAddress.getByAddress(gateway.get()).getHostAddress() : "";
    }

    @Override
    public void makeDummy(String name) throws IOException {
        change("make link " + name, request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL)
                .bytes(ANY_FAMILY, 0, 0, 0).number(0).number(0).number(0)
                .attribute(IFLA_IFNAME, name)
                .nested(IFLA_LINKINFO, IFLA_INFO_KIND, "dummy"));
    }

    @Override
    public void bringUp(Link link) throws IOException {
        change("bring up " + link.name(), request(RTM_NEWLINK, 0)
                .bytes(ANY_FAMILY, 0, 0, 0).number(link.index()).number(IFF_UP).number(IFF_UP));
    }

    /**
     * The address is only for receiving, never a source address. An IPv4 address of scope global, above all on lo, would
     * become the source of the node's traffic on links without an address, such as those to pods. It therefore has scope
     * link in IPv4, and no preferred lifetime in IPv6. Its route is added separately, for both protocols.
     */
    @Override
    public void addAddress(NodeAddress address, Link link) throws IOException {
        Builder request = request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
        switch (address) {
            case IPV4 -> request
                    .bytes(address.family(), address.bits(), 0, RT_SCOPE_LINK).number(link.index())
                    .attribute(IFA_LOCAL, address.bytes())
                    .attribute(IFA_ADDRESS, address.bytes());
            case IPV6 -> request
                    .bytes(address.family(), address.bits(), 0, RT_SCOPE_UNIVERSE).number(link.index())
                    .attribute(IFA_LOCAL, address.bytes())
                    // Duplicate address detection would take a second, during which the address cannot be bound.
                    .attribute(IFA_FLAGS, IFA_F_NODAD | IFA_F_NOPREFIXROUTE)
                    .attribute(IFA_CACHEINFO, cacheInfo(0, FOREVER));
        }
        change("add " + address.prefix() + " to " + link.name(), request);
    }

    private static byte[] cacheInfo(int preferred, int valid) {
        return ByteBuffer.allocate(4 * Integer.BYTES).order(ByteOrder.nativeOrder())
                .putInt(preferred).putInt(valid).putInt(0).putInt(0).array();
    }

    @Override
    public void addRoute(NodeAddress to, Link link) throws IOException {
        int scope = to == NodeAddress.IPV4 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
        change("route " + to + " to " + link.name(), request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL)
                .bytes(to.family(), to.bits(), 0, 0, RT_TABLE_MAIN, RTPROT_STATIC, scope, RTN_UNICAST).number(0)
                .attribute(RTA_DST, to.bytes())
                .attribute(RTA_OIF, link.index()));
    }

    private Builder request(int type, int flags) {
        sequence++;
        boolean dump = (flags & NLM_F_DUMP) == NLM_F_DUMP;
        return new Builder(type, NLM_F_REQUEST | (dump ? 0 : NLM_F_ACK) | flags, sequence);
    }

    private void change(String asked, Builder request) throws IOException {
        socket.send(request.build());
        while (true) {
            for (NetlinkMessage message : NetlinkMessage.in(socket.receive())) {
                if (message.sequence() == sequence && message.type() == NLMSG_ERROR) {
                    check(asked, message);
                    return;
                }
            }
        }
    }

    /** Returns all messages of a type from a dump; repeats the dump if something changed while it was read. */
    private List<NetlinkMessage> dump(int type, Builder request) throws IOException {
        byte[] datagram = request.build();
        for (int tried = 0; tried < TRIES; tried++) {
            Optional<List<NetlinkMessage>> consistent = dumpOnce(type, datagram);
            if (consistent.isPresent()) {
                return consistent.get();
            }
        }
        throw new IOException("links, addresses or routes changed in each of " + TRIES + " attempts to list them");
    }

    private Optional<List<NetlinkMessage>> dumpOnce(int type, byte[] datagram) throws IOException {
        socket.send(datagram);
        List<NetlinkMessage> found = new ArrayList<>();
        boolean consistent = true;
        while (true) {
            for (NetlinkMessage message : NetlinkMessage.in(socket.receive())) {
                if (message.sequence() != sequence) {
                    continue;
                }
                consistent &= !message.has(NLM_F_DUMP_INTR) && message.type() != NLMSG_OVERRUN;
                if (message.type() == NLMSG_DONE || message.type() == NLMSG_ERROR) {
                    check("list links, addresses or routes", message);
                    return consistent ? Optional.of(found) : Optional.empty();
                }
                if (message.type() == type) {
                    found.add(message);
                }
            }
        }
    }

    /** Throws the error at the end of a response, if there is one. */
    private static void check(String asked, NetlinkMessage end) throws IOException {
        if (end.type() == NLMSG_DONE && end.body().limit() < Integer.BYTES) {
            return;
        }
        int error = end.fixed(Integer.BYTES).getInt(0);
        if (error < 0) {
            throw new KernelRefusal(asked, -error, remark(end));
        }
    }

    private static String remark(NetlinkMessage end) throws IOException {
        if (!end.has(NLM_F_ACK_TLVS) || end.type() != NLMSG_ERROR) {
            return "";
        }
        int repeated = end.fixed(ERROR_HEADER).getInt(Integer.BYTES);
        int before = end.has(NLM_F_CAPPED) ? ERROR_HEADER : Integer.BYTES + Math.max(repeated, NetlinkMessage.HEADER);
        return end.attributes(before).text(NLMSGERR_ATTR_MSG).orElse("");
    }
}
