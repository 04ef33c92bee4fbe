package dev.podidentity.agent.network;

import java.util.Arrays;
import java.util.Optional;

/** The two addresses that pods know the agent by. They are part of what EKS promises, so that nothing sets them. */
enum NodeAddress {
    IPV4("IPv4", 2, "169.254.170.23", new byte[] {(byte) 169, (byte) 254, (byte) 170, 23}),
    IPV6("IPv6", 10, "fd00:ec2::23",
            new byte[] {(byte) 0xfd, 0, 0x0e, (byte) 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x23});

    private final String protocol;
    private final int family;
    private final String text;
    private final byte[] bytes;

    /** @param family the kernel's number of the protocol: AF_INET or AF_INET6 */
    NodeAddress(String protocol, int family, String text, byte[] bytes) {
        this.protocol = protocol;
        this.family = family;
        this.text = text;
        this.bytes = bytes;
    }

    /** Which of the two these bytes are, if any. */
    static Optional<NodeAddress> of(int family, byte[] bytes) {
        return Arrays.stream(values())
                .filter(address -> address.family == family && Arrays.equals(address.bytes, bytes))
                .findFirst();
    }

    /** What people call its protocol. */
    String protocol() {
        return protocol;
    }

    int family() {
        return family;
    }

    byte[] bytes() {
        return bytes.clone();
    }

    /** The prefix length of this address alone. */
    int bits() {
        return bytes.length * Byte.SIZE;
    }

    /** The address and its prefix length, as {@code ip address} takes them. */
    String prefix() {
        return text + '/' + bits();
    }

    @Override
    public String toString() {
        return text;
    }
}
