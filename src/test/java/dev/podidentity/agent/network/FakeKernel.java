package dev.podidentity.agent.network;

import dev.podidentity.agent.network.Kernel.HeldAddress;
import dev.podidentity.agent.network.Kernel.Link;
import dev.podidentity.agent.network.Kernel.Route;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Simulates a kernel, with its links, addresses and routes in lists. Like Linux, it rejects changes that exist already or that
 * need the link to be up. It also rejects the changes that a test names.
 */
final class FakeKernel implements Kernel {

    static final int LO = 1;
    static final int ETH0 = 2;

    final List<Link> links = new ArrayList<>(List.of(
            new Link(LO, NodeLink.LOOPBACK, "", true), new Link(ETH0, "eth0", "", true)));
    final List<HeldAddress> addresses = new ArrayList<>();
    final List<Route> routes = new ArrayList<>();
    /** The changes made, in order. */
    final List<String> changes = new ArrayList<>();
    private final Map<String, Integer> refusals = new HashMap<>();
    private final Map<String, Runnable> before = new HashMap<>();
    private final Map<String, Runnable> after = new HashMap<>();
    /** Whether the kernel does not respond. */
    boolean mute;

    /** Rejects a change, named as in {@link #changes}, with an error. */
    FakeKernel refuse(String change, int errno) {
        refusals.put(change, errno);
        return this;
    }

    FakeKernel withoutDummies() {
        return refuse("make pod-id-link0", Errno.EOPNOTSUPP);
    }

    FakeKernel withoutIpv6(int errno) {
        links.forEach(link -> refuse("add fd00:ec2::23/128 to " + link.name(), errno));
        return refuse("add fd00:ec2::23/128 to pod-id-link0", errno);
    }

    FakeKernel withoutPermission() {
        refuse("make pod-id-link0", Errno.EPERM);
        for (String link : List.of("pod-id-link0", "lo")) {
            refuse("bring up " + link, Errno.EPERM);
            for (NodeAddress address : NodeAddress.values()) {
                refuse("add " + address.prefix() + " to " + link, Errno.EPERM);
                refuse("route " + address + " to " + link, Errno.EPERM);
            }
        }
        return this;
    }

    /** Runs a task, as a concurrent process could, just before a change is made. */
    FakeKernel before(String change, Runnable race) {
        before.put(change, race);
        return this;
    }

    FakeKernel after(String change, Runnable race) {
        after.put(change, race);
        return this;
    }

    Link addLink(String name, String kind, boolean up) {
        Link link = new Link(links.size() + 1, name, kind, up);
        links.add(link);
        return link;
    }

    void addAddress(NodeAddress address, String link) {
        addresses.add(new HeldAddress(address, named(link).index(), address.bits()));
    }

    void addRoute(NodeAddress to, String link) {
        routes.add(new Route(to, Route.UNICAST, "", named(link).index()));
    }

    Link named(String name) {
        return links.stream().filter(link -> link.name().equals(name)).findFirst().orElseThrow();
    }

    @Override
    public List<Link> links() throws IOException {
        if (mute) {
            throw new IOException("recv: no response in time (EAGAIN)");
        }
        return List.copyOf(links);
    }

    @Override
    public List<HeldAddress> addresses() {
        return List.copyOf(addresses);
    }

    @Override
    public List<Route> routes() {
        return List.copyOf(routes);
    }

    @Override
    public void makeDummy(String name) throws IOException {
        String change = begin("make " + name);
        refuseIf(links.stream().anyMatch(link -> link.name().equals(name)), change);
        addLink(name, "dummy", false);
        end(change);
    }

    @Override
    public void bringUp(Link link) throws IOException {
        String change = begin("bring up " + link.name());
        links.replaceAll(other -> other.equals(link) ? new Link(link.index(), link.name(), link.kind(), true) : other);
        end(change);
    }

    @Override
    public void addAddress(NodeAddress address, Link link) throws IOException {
        String change = begin("add " + address.prefix() + " to " + link.name());
        // Linux accepts the same IPv4 address with another prefix length on a link, but not the same IPv6 address.
        refuseIf(addresses.stream().anyMatch(held -> held.address() == address && held.linkIndex() == link.index()
                && (address == NodeAddress.IPV6 || held.prefixLength() == address.bits())), change);
        addAddress(address, link.name());
        end(change);
    }

    @Override
    public void addRoute(NodeAddress to, Link link) throws IOException {
        String change = begin("route " + to + " to " + link.name());
        if (!named(link.name()).up()) {
            throw new KernelRefusal(change, 100, "the link is down");
        }
        refuseIf(routes.stream().anyMatch(route -> route.to() == to
                && (to == NodeAddress.IPV4 || route.linkIndex() == link.index())), change);
        addRoute(to, link.name());
        end(change);
    }

    private String begin(String change) throws KernelRefusal {
        before.getOrDefault(change, () -> { }).run();
        if (refusals.containsKey(change)) {
            throw new KernelRefusal(change, refusals.get(change), "");
        }
        return change;
    }

    private void end(String change) {
        changes.add(change);
        after.getOrDefault(change, () -> { }).run();
    }

    private static void refuseIf(boolean there, String change) throws KernelRefusal {
        if (there) {
            throw new KernelRefusal(change, Errno.EEXIST, "");
        }
    }
}
