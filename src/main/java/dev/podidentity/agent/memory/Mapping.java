package dev.podidentity.agent.memory;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

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
    private static final Pattern ANONYMOUS = Pattern.compile("Anonymous: *(\\d+) kB");
    private static final int HEXADECIMAL = 16;
    private static final long KIB = 1024;

    /** Reads the lines of {@code smaps}; what it does not need of them may be of any form. */
    static List<Mapping> read(List<String> smaps) {
        List<Mapping> mappings = new ArrayList<>();
        Optional<Matcher> head = Optional.empty();
        for (String line : smaps) {
            Matcher next = HEAD.matcher(line);
            if (next.matches()) {
                head = Optional.of(next);
                continue;
            }
            Matcher anonymous = ANONYMOUS.matcher(line);
            if (head.isPresent() && anonymous.matches()) {
                mappings.add(of(head.get(), Long.parseLong(anonymous.group(1)) * KIB));
            }
        }
        return mappings;
    }

    private static Mapping of(Matcher head, long changed) {
        long start = Long.parseUnsignedLong(head.group(1), HEXADECIMAL);
        long end = Long.parseUnsignedLong(head.group(2), HEXADECIMAL);
        return new Mapping(start, end - start, head.group(3), head.group(4), changed);
    }

    /**
     * Whether all its pages are those of the file and will stay so: then they can be dropped, and come back from the
     * file when they are touched.
     */
    boolean unchangeable() {
        return permissions.startsWith("r-") && permissions.endsWith("p") && changed == 0;
    }
}
