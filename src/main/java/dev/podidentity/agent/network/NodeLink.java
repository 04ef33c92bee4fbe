package dev.podidentity.agent.network;

import dev.podidentity.agent.network.Kernel.HeldAddress;
import dev.podidentity.agent.network.Kernel.Link;
import dev.podidentity.agent.network.Kernel.Route;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;

/**
 * Sets up the link of a node that has the addresses where pods request credentials. It creates only what is missing, so it
 * can run any number of times and repair any intermediate state.
 *
 * <p>It never changes another owner's address or route. It looks for conflicts before it changes anything, so that a failure
 * leaves the node as it was. The loopback link is not a conflict: traffic to it stays on this node, and on a kernel without
 * dummy links the addresses are put there.
 *
 * <p>IPv6 is optional: if the kernel does not allow it, this is logged and is not a failure. A route of {@code fd00:ec2::23}
 * to another link is a failure, because pods would send their tokens there.
 */
public final class NodeLink {

    static final String NAME = "pod-id-link0";
    static final String LOOPBACK = "lo";
    private static final String DUMMY = "dummy";
    private static final String NO_PERMISSION = "no permission to change the node's network: initialize needs the"
            + " capability NET_ADMIN, which an init container gets in its securityContext. A user other than root also needs"
            + " the file capability that the image gives to the executable";

    private final Kernel kernel;
    private final Consumer<Note> notes;

    NodeLink(Kernel kernel, Consumer<Note> notes) {
        this.kernel = kernel;
        this.notes = notes;
    }

    /**
     * Sets up the link in the network namespace of this process. Blocks for milliseconds; the main thread must call this
     * before it starts others.
     *
     * @param notes receives each change as it is made
     * @throws NodeLinkFailure if pods cannot reach the agent at its IPv4 address, or would reach another destination
     */
    public static void setUp(Consumer<Note> notes) throws NodeLinkFailure {
        if (!Libc.available()) {
            throw new NodeLinkFailure("initialize needs the native executable: on a JVM it cannot talk to the kernel");
        }
        try (NetlinkSocket socket = LinuxNetlinkSocket.open(LinuxNetlinkSocket.NETLINK_ROUTE)) {
            new NodeLink(new Rtnetlink(socket), notes).setUp();
        } catch (IOException e) {
            throw new NodeLinkFailure("cannot read or change the node's network: " + e.getMessage(), e);
        }
    }

    void setUp() throws NodeLinkFailure {
        try {
            Link link = linkThatIsUp();
            setUp(NodeAddress.IPV4, link);
            boolean both = setUpIfPossible(NodeAddress.IPV6, link);
            note("The agent's addresses are on this node", "link", link.name(),
                    "addresses", both ? NodeAddress.IPV4 + "," + NodeAddress.IPV6 : NodeAddress.IPV4.toString());
        } catch (KernelRefusal e) {
            throw new NodeLinkFailure(e.is(Errno.EPERM) ? NO_PERMISSION : e.getMessage(), e);
        } catch (IOException e) {
            throw new NodeLinkFailure("cannot read or change the node's network: " + e.getMessage(), e);
        }
    }

    private Link linkThatIsUp() throws IOException, NodeLinkFailure {
        List<Link> links = kernel.links();
        refuseWhatIsInTheWay(links);
        Optional<Link> there = named(NAME, links);
        Link link = there.isPresent() ? accepted(there.get()) : made(links);
        if (!link.up()) {
            kernel.bringUp(link);
            note("Link brought up", "link", link.name());
        }
        return link;
    }

    private void refuseWhatIsInTheWay(List<Link> links) throws IOException, NodeLinkFailure {
        for (HeldAddress held : kernel.addresses()) {
            Link link = numbered(held.linkIndex(), links);
            if (!ours(link)) {
                String prefix = held.address() + "/" + held.prefixLength();
                throw inTheWay(prefix + " is already an address of " + link.name(),
                        "ip address delete " + prefix + " dev " + link.name());
            }
        }
        for (Route route : kernel.routes()) {
            Link link = numbered(route.linkIndex(), links);
            if (!route.takes(link) || !ours(link)) {
                String described = described(route, link);
                throw inTheWay("the route '" + described + "' leads elsewhere",
                        (route.to() == NodeAddress.IPV6 ? "ip -6" : "ip") + " route delete " + described);
            }
        }
    }

    /** Returns whether traffic to this link reaches this agent. */
    static boolean ours(Link link) {
        return link.name().equals(NAME) || link.name().equals(LOOPBACK);
    }

    private static NodeLinkFailure inTheWay(String what, String remedy) {
        return new NodeLinkFailure(what + ", so pods could not reach the agent. If nothing else needs it, remove it"
                + " ('" + remedy + "') and run initialize again");
    }

    static String described(Route route, Link link) {
        return (route.type().equals(Route.UNICAST) ? "" : route.type() + " ") + route.to()
                + (route.gateway().isEmpty() ? "" : " via " + route.gateway())
                + (route.linkIndex() == 0 ? "" : " dev " + link.name());
    }

    private Link accepted(Link link) {
        if (!link.kind().equals(DUMMY)) {
            warn("A link of this name already exists and is not a dummy link; using it as it is", "link", link.name(),
                    "type", link.kind().isEmpty() ? "none" : link.kind());
        }
        return link;
    }

    private Link made(List<Link> links) throws IOException, NodeLinkFailure {
        try {
            if (added(() -> kernel.makeDummy(NAME))) {
                note("Link created", "link", NAME, "type", DUMMY);
            }
        } catch (KernelRefusal e) {
            if (!e.is(Errno.EOPNOTSUPP)) {
                throw e;
            }
            warn("This kernel has no dummy links; using the loopback link instead", "link", LOOPBACK);
            return named(LOOPBACK, links).orElseThrow(() -> new NodeLinkFailure("there is no link " + LOOPBACK));
        }
        return named(NAME, kernel.links())
                .orElseThrow(() -> new NodeLinkFailure("the link " + NAME + " was removed while it was set up"));
    }

    private void setUp(NodeAddress address, Link link) throws IOException, NodeLinkFailure {
        HeldAddress wanted = new HeldAddress(address, link.index(), address.bits());
        if (!kernel.addresses().contains(wanted) && added(() -> kernel.addAddress(address, link))) {
            note("Address added", "address", address.prefix(), "link", link.name());
        }
        // Traffic reaches the loopback link because the link has the address; a route would not change that.
        boolean routed = link.name().equals(LOOPBACK)
                || kernel.routes().stream().anyMatch(route -> route.to() == address && route.takes(link));
        if (routed) {
            return;
        }
        if (added(() -> kernel.addRoute(address, link))) {
            note("Route added", "to", address.toString(), "link", link.name());
        } else {
            // There was no such route before. If another run of initialize added it, there is no conflict.
            refuseWhatIsInTheWay(kernel.links());
        }
    }

    /** Returns whether the address was set up; logs if it was not. */
    private boolean setUpIfPossible(NodeAddress address, Link link) throws IOException, NodeLinkFailure {
        try {
            setUp(address, link);
            return true;
        } catch (KernelRefusal e) {
            if (e.is(Errno.EPERM)) {
                throw e;
            }
            boolean switchedOff = e.is(Errno.EACCES) || e.is(Errno.EOPNOTSUPP) || e.is(Errno.EAFNOSUPPORT);
            notes.accept(new Note(!switchedOff, "This node has no IPv6; the agent's IPv6 address is left out",
                    fields("address", address.toString(), "reason", e.getMessage())));
            return false;
        }
    }

    /** Returns whether the item was added; false if it was added by another process in the meantime. */
    private static boolean added(Addition addition) throws IOException {
        try {
            addition.add();
            return true;
        } catch (KernelRefusal e) {
            if (!e.is(Errno.EEXIST)) {
                throw e;
            }
            return false;
        }
    }

    private interface Addition {

        void add() throws IOException;
    }

    private static Optional<Link> named(String name, List<Link> links) {
        return links.stream().filter(link -> link.name().equals(name)).findFirst();
    }

    /** Returns a placeholder if there is no link with this number. */
    static Link numbered(int index, List<Link> links) {
        return links.stream()
                .filter(link -> link.index() == index)
                .findFirst()
                .orElseGet(() -> new Link(index, "if" + index, "", false));
    }

    private void note(String message, String... fields) {
        notes.accept(new Note(false, message, fields(fields)));
    }

    private void warn(String message, String... fields) {
        notes.accept(new Note(true, message, fields(fields)));
    }

    private static Map<String, String> fields(String... keysAndValues) {
        Map<String, String> fields = new LinkedHashMap<>();
        for (int i = 0; i < keysAndValues.length; i += 2) {
            fields.put(keysAndValues[i], keysAndValues[i + 1]);
        }
        return fields;
    }
}
