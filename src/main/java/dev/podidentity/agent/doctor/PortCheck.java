package dev.podidentity.agent.doctor;

import dev.podidentity.agent.network.PortOwners;
import dev.podidentity.agent.network.PortOwners.Owner;
import java.io.IOException;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Checks which processes listen on the agent's addresses. */
final class PortCheck implements Check {

    private static final String LOOPBACK = "127.0.0.1";

    private final AgentSettings settings;
    private final PortOwners owners;
    private final RunningAgent agent;
    private final boolean ipv6;

    /** @param ipv6 whether this node has IPv6 */
    PortCheck(AgentSettings settings, PortOwners owners, RunningAgent agent, boolean ipv6) {
        this.settings = settings;
        this.owners = owners;
        this.agent = agent;
        this.ipv6 = ipv6;
    }

    @Override
    public String name() {
        return "port";
    }

    @Override
    public List<Finding> examine() {
        List<Finding> findings = new ArrayList<>();
        for (String host : settings.bindHosts()) {
            if (ipv6 || !host.contains(":")) {
                findings.add(finding(host, settings.port(), "pods request credentials there"));
            }
        }
        findings.add(finding(LOOPBACK, settings.probePort(), "the kubelet probes the agent there"));
        findings.add(finding(settings.metricsAddress(), settings.metricsPort(), "metrics are scraped there"));
        return findings;
    }

    private Finding finding(String host, int port, String purpose) {
        String where = (host.contains(":") ? "[" + host + "]" : host) + ":" + port;
        List<Owner> there;
        try {
            InetAddress asked = InetAddress.getByName(host);
            List<Owner> all = owners.of(port).stream().filter(owner -> owner.takes(asked)).toList();
            // The kernel prefers a socket that is bound to the exact address.
            List<Owner> exact = all.stream().filter(owner -> owner.address().equals(asked)).toList();
            there = exact.isEmpty() ? all : exact;
        } catch (UnknownHostException e) {
            return Finding.fail("The host name " + host + " has no address", "Pass an address with --bind-hosts or"
                    + " --metrics-address");
        } catch (IOException e) {
            return Finding.skip("The kernel does not report which process listens on " + where + ": " + e.getMessage());
        }
        if (there.isEmpty()) {
            return Finding.fail("No process listens on " + where + ": " + purpose, "Start the agent, or read its log");
        }
        Optional<Owner> other = there.stream()
                .filter(owner -> owner.process().map(process -> !agent.is(process.id())).orElse(false))
                .findFirst();
        return other.isPresent()
                ? Finding.fail(PortOwners.named(List.of(other.get())) + " listens on " + where + ": " + purpose,
                        "Stop it, or make it listen on other addresses")
                : Finding.ok(PortOwners.named(there) + " listens on " + where);
    }
}
