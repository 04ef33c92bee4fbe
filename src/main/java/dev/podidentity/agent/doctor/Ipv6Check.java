package dev.podidentity.agent.doctor;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** Whether this node has IPv6, on which the agent can do without. */
final class Ipv6Check implements Check {

    private final Path proc;

    /** @param proc where procfs is mounted */
    Ipv6Check(Path proc) {
        this.proc = proc;
    }

    @Override
    public String name() {
        return "ipv6";
    }

    @Override
    public List<Finding> examine() {
        return List.of(on(proc)
                ? Finding.ok("This node has IPv6")
                : Finding.ok("This node has no IPv6: pods use IPv4, and the agent does without IPv6"));
    }

    /** Whether the kernel has IPv6, and lets new links have it. */
    static boolean on(Path proc) {
        try {
            return Files.exists(proc.resolve("net/if_inet6"))
                    && Files.readString(proc.resolve("sys/net/ipv6/conf/all/disable_ipv6")).strip().equals("0");
        } catch (IOException e) {
            return false;
        }
    }
}
