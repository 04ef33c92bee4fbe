package dev.podidentity.agent.http;

import dev.podidentity.agent.config.IpAddress;
import java.nio.ByteBuffer;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * The hosts that a request may name. This rejects requests that a browser or proxy on the node was tricked into sending
 * under another name.
 */
final class AllowedHosts {

    private static final List<String> OWN = List.of("169.254.170.23", "fd00:ec2::23");
    private static final Pattern PORT = Pattern.compile("\\d{1,5}");
    private static final int HIGHEST_PORT = 65_535;

    private final Set<String> names = new HashSet<>();
    /** Compared as bytes, because an IPv6 address has many spellings. */
    private final Set<ByteBuffer> addresses = new HashSet<>();

    /** @param more hosts in addition to the agent's own two; IPv6 addresses without brackets */
    AllowedHosts(Collection<String> more) {
        OWN.forEach(this::add);
        more.forEach(this::add);
    }

    private void add(String host) {
        ipv6(host).ifPresentOrElse(addresses::add, () -> names.add(host.toLowerCase(Locale.ROOT)));
    }

    /** Returns whether a Host header, or the authority of an absolute request target, names an allowed host. */
    boolean contains(String authority) {
        if (authority.startsWith("[")) {
            int end = authority.indexOf(']');
            return end > 0 && portOrNothing(authority.substring(end + 1)) && isAddress(authority.substring(1, end));
        }
        int colon = authority.indexOf(':');
        if (colon >= 0 && authority.indexOf(':', colon + 1) >= 0) {
            return isAddress(authority);
        }
        String host = colon < 0 ? authority : authority.substring(0, colon);
        return (colon < 0 || portOrNothing(authority.substring(colon))) && names.contains(host.toLowerCase(Locale.ROOT));
    }

    private boolean isAddress(String text) {
        return ipv6(text).filter(addresses::contains).isPresent();
    }

    private static Optional<ByteBuffer> ipv6(String text) {
        return IpAddress.v6(text).map(ByteBuffer::wrap);
    }

    private static boolean portOrNothing(String rest) {
        return rest.isEmpty()
                || (rest.startsWith(":") && PORT.matcher(rest.substring(1)).matches()
                        && Integer.parseInt(rest.substring(1)) <= HIGHEST_PORT);
    }
}
