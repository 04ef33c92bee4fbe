package dev.podidentity.agent.doctor;

import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A range of IPv4 addresses.
 *
 * @param network its first address
 * @param bits the length of the common prefix
 */
record Cidr(long network, int bits) {

    private static final Pattern TEXT = Pattern.compile("(\\d{1,3})\\.(\\d{1,3})\\.(\\d{1,3})\\.(\\d{1,3})(?:/(\\d{1,2}))?");
    private static final int ALL_BITS = 32;
    private static final int MOST = 255;

    /** Parses a range or a single address; returns empty if the text is neither. */
    static Optional<Cidr> parse(String text) {
        Matcher matcher = TEXT.matcher(text);
        if (!matcher.matches()) {
            return Optional.empty();
        }
        long address = 0;
        for (int i = 1; i <= Integer.BYTES; i++) {
            int part = Integer.parseInt(matcher.group(i));
            if (part > MOST) {
                return Optional.empty();
            }
            address = address << Byte.SIZE | part;
        }
        int bits = matcher.group(Integer.BYTES + 1) == null ? ALL_BITS : Integer.parseInt(matcher.group(Integer.BYTES + 1));
        return bits > ALL_BITS ? Optional.empty() : Optional.of(new Cidr(address, bits));
    }

    boolean contains(String address) {
        return parse(address).map(other -> (other.network ^ network) >>> ALL_BITS - bits == 0).orElse(false);
    }
}
