package dev.podidentity.agent.memory;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * A part of this process's address space, as {@code /proc/self/smaps} lists it.
 *
 * @param start its first address
 * @param length in bytes
 * @param permissions such as {@code r-xp}
 * @param file the file that is mapped there; empty for none
 * @param changed bytes of it that are this process's own and no longer the file's
 */
record Mapping(long start, long length, String permissions, String file, long changed) {

    private static final Pattern HEAD = Pattern.compile("([0-9a-f]+)-([0-9a-f]+) (\\S{4}) \\S+ \\S+ \\d+ *(.*)");
    private static final String ANONYMOUS = "Anonymous:";
    private static final String UNIT = "kB";
    private static final int HEXADECIMAL = 16;
    private static final long KIB = 1024;

    /** Reads the lines of {@code smaps}; what it does not need of them may be of any form. */
    static List<Mapping> read(Stream<String> smaps) {
        List<Mapping> mappings = new ArrayList<>();
        Matcher head = HEAD.matcher("");
        boolean begun = false;
        for (String line : (Iterable<String>) smaps::iterator) {
            if (line.startsWith(ANONYMOUS)) {
                if (begun) {
                    mappings.add(of(head, bytes(line)));
                    begun = false;
                }
            } else if (isHead(line)) {
                begun = head.reset(line).matches();
            }
        }
        return mappings;
    }

    /** The other lines begin with a name in capitals. */
    private static boolean isHead(String line) {
        return !line.isEmpty() && Character.digit(line.charAt(0), HEXADECIMAL) >= 0 && !Character.isUpperCase(line.charAt(0));
    }

    private static Mapping of(Matcher head, long changed) {
        return new Mapping(
                Long.parseUnsignedLong(head.group(1), HEXADECIMAL), length(head), head.group(3), head.group(4), changed);
    }

    private static long length(Matcher head) {
        return Long.parseUnsignedLong(head.group(2), HEXADECIMAL) - Long.parseUnsignedLong(head.group(1), HEXADECIMAL);
    }

    private static long bytes(String anonymous) {
        return Long.parseLong(anonymous.substring(ANONYMOUS.length()).replace(UNIT, "").strip()) * KIB;
    }

    /**
     * Whether all its pages are those of the file and will stay so: then they can be unmapped, and come back from the
     * file when they are touched.
     */
    boolean constant() {
        return permissions.startsWith("r-") && permissions.endsWith("p") && changed == 0;
    }
}
