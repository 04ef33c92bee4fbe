package dev.podidentity.agent.doctor;

import dev.podidentity.agent.network.LinkState;
import dev.podidentity.agent.network.LinkState.Held;
import java.util.ArrayList;
import java.util.List;

/** Checks that the addresses to which pods connect belong to this node, on a link that leads to the agent. */
final class AddressCheck implements Check {

    private final NodeNetwork network;
    private final boolean ipv6;

    /** @param ipv6 whether this node has IPv6 */
    AddressCheck(NodeNetwork network, boolean ipv6) {
        this.network = network;
        this.ipv6 = ipv6;
    }

    @Override
    public String name() {
        return "address";
    }

    @Override
    public List<Finding> examine() {
        if (network.link().isEmpty()) {
            return List.of(Finding.skip(network.unknown()));
        }
        List<Held> held = network.link().get().addresses();
        List<Finding> findings = new ArrayList<>(on(LinkState.IPV4, held));
        if (findings.isEmpty()) {
            findings.add(Finding.fail(LinkState.IPV4 + " is not an address of this node", LinkCheck.INITIALIZE));
        }
        List<Finding> second = on(LinkState.IPV6, held);
        if (!second.isEmpty()) {
            findings.addAll(second);
        } else if (ipv6) {
            findings.add(Finding.warn(LinkState.IPV6 + " is not an address of this node, which has IPv6",
                    LinkCheck.INITIALIZE + "; not needed in an IPv4 cluster"));
        }
        return findings;
    }

    private static List<Finding> on(String address, List<Held> held) {
        return held.stream().filter(one -> one.address().equals(address)).map(AddressCheck::finding).toList();
    }

    private static Finding finding(Held held) {
        String prefix = held.address() + "/" + held.prefixLength();
        if (!held.ours()) {
            return Finding.fail(prefix + " is an address of " + held.link() + "; pods reach another process there",
                    "If nothing else needs it, remove it: ip address delete " + prefix + " dev " + held.link());
        }
        return held.whole()
                ? Finding.ok(prefix + " is on " + held.link())
                : Finding.warn(prefix + " is on " + held.link() + ": its prefix takes other addresses as well",
                        "Remove it and run initialize: ip address delete " + prefix + " dev " + held.link());
    }
}
