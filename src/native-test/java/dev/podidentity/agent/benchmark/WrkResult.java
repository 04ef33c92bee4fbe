package dev.podidentity.agent.benchmark;

import java.util.Map;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * The result of wrk, as printed by src/native-test/benchmark/credentials.lua.
 *
 * @param errors connection errors, and responses that did not arrive in time
 * @param refused responses with a status over 399
 */
record WrkResult(long requests, double seconds, double p50Millis, double p99Millis, long errors, long refused) {

    private static final String PREFIX = "benchmark: ";
    private static final Pattern FIELD = Pattern.compile("(\\w+)=(\\d+)");
    private static final double MICROS_PER_MILLI = 1e3;
    private static final double MICROS_PER_SECOND = 1e6;

    /** @throws IllegalArgumentException if the line is missing or incomplete */
    static WrkResult parse(String output) {
        String line = output.lines()
                .filter(candidate -> candidate.startsWith(PREFIX))
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException("wrk has not said what it found: " + output));
        Map<String, Long> fields = FIELD.matcher(line).results()
                .collect(Collectors.toMap((MatchResult field) -> field.group(1), field -> Long.parseLong(field.group(2))));
        return new WrkResult(
                field(fields, "requests"),
                field(fields, "micros") / MICROS_PER_SECOND,
                field(fields, "p50") / MICROS_PER_MILLI,
                field(fields, "p99") / MICROS_PER_MILLI,
                field(fields, "connect") + field(fields, "read") + field(fields, "write") + field(fields, "timeout"),
                field(fields, "status"));
    }

    double requestsPerSecond() {
        return requests / seconds;
    }

    private static long field(Map<String, Long> fields, String name) {
        Long value = fields.get(name);
        if (value == null) {
            throw new IllegalArgumentException("wrk has not said " + name + ": " + fields.keySet());
        }
        return value;
    }
}
