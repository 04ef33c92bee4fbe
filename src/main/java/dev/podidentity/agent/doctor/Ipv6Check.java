package dev.podidentity.agent.doctor;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** Shows whether this node has IPv6, which the agent does not need. */
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

    /** Returns whether the kernel supports IPv6, and enables it for new links. */
    static boolean on(Path proc) {
        try {
            return Files.exists(proc.resolve("net/if_inet6"))
                    && Files.readString(proc.resolve("sys/net/ipv6/conf/all/disable_ipv6")).strip().equals("0");
        } catch (IOException e) {
            return false;
        }
    }
}
