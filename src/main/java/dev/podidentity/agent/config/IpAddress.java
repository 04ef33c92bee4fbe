package dev.podidentity.agent.config;

import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.Optional;
import java.util.regex.Pattern;

/** Reads IPv6 addresses in digits. Never looks a name up. */
public final class IpAddress {

    /** Only what can be an address in digits and colons: anything else would be looked up, or could carry a zone. */
    private static final Pattern IPV6 = Pattern.compile("(?=.*:)(?!.*[0-9A-Fa-f]{5})[0-9A-Fa-f:][0-9A-Fa-f:.]{1,44}");

    private IpAddress() {}

    /**
     * The bytes of an IPv6 address, whatever its spelling; nothing if the text is none.
     *
     * @param text without brackets, port or zone
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
