package dev.podidentity.agent.network;

import java.util.Arrays;
import java.util.Optional;

/** The two addresses at which pods reach the agent. EKS defines them, so they are not configurable. */
enum NodeAddress {
    IPV4("IPv4", 2, "169.254.170.23", new byte[] {(byte) 169, (byte) 254, (byte) 170, 23}),
    IPV6("IPv6", 10, "fd00:ec2::23",
            new byte[] {(byte) 0xfd, 0, 0x0e, (byte) 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x23});

    private final String protocol;
    private final int family;
    private final String text;
    private final byte[] bytes;

    /** @param family the kernel's number for the protocol: AF_INET or AF_INET6 */
    NodeAddress(String protocol, int family, String text, byte[] bytes) {
        this.protocol = protocol;
        this.family = family;
        this.text = text;
        this.bytes = bytes;
    }

    /** Returns the address that these bytes represent, if it is one of the two. */
    static Optional<NodeAddress> of(int family, byte[] bytes) {
        return Arrays.stream(values())
                .filter(address -> address.family == family && Arrays.equals(address.bytes, bytes))
                .findFirst();
    }

    /** Returns the name of the protocol. */
    String protocol() {
        return protocol;
    }

    int family() {
        return family;
    }

    byte[] bytes() {
        return bytes.clone();
    }

    /** Returns the prefix length of a prefix that contains only this address. */
    int bits() {
        return bytes.length * Byte.SIZE;
    }

    /** Returns the address and its prefix length, in the syntax of {@code ip address}. */
    String prefix() {
        return text + '/' + bits();
    }

    @Override
    public String toString() {
        return text;
    }
}
