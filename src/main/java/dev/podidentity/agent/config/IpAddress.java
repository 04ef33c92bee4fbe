package dev.podidentity.agent.config;

import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.Optional;
import java.util.regex.Pattern;

/** Parses numeric IPv6 addresses. Never resolves a name. */
public final class IpAddress {

    /** Digits and colons only: other text would be resolved as a name, or could contain a zone. */
    private static final Pattern IPV6 = Pattern.compile("(?=.*:)(?!.*[0-9A-Fa-f]{5})[0-9A-Fa-f:][0-9A-Fa-f:.]{1,44}");

    private IpAddress() {}

    /**
     * Returns the bytes of an IPv6 address in any spelling; empty if the text is not an IPv6 address.
     *
     * @param text the address without brackets, port or zone
     */
    public static Optional<byte[]> v6(String text) {
        if (!IPV6.matcher(text).matches()) {
            return Optional.empty();
        }
        try {
            return Optional.of(InetAddress.getByName(text).getAddress());
        } catch (UnknownHostException e) {
            return Optional.empty();
        }
    }
}
