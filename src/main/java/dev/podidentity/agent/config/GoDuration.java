package dev.podidentity.agent.config;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.time.Duration;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.eclipse.microprofile.config.spi.Converter;

/**
 * Parses durations like Go's {@code time.ParseDuration}, which the reference's command line uses: {@code 1h30m},
 * {@code 1.5h}, {@code 90s}, {@code 250ms}, {@code 0}. Rejects negative durations, which no setting can use.
 */
public final class GoDuration implements Converter<Duration> {

    private static final long serialVersionUID = 1L;

    private static final Pattern PART = Pattern.compile("(\\d+(?:\\.\\d*)?|\\.\\d+)(ns|us|µs|μs|ms|s|m|h)");
    private static final Map<String, Long> NANOS = Map.of(
            "ns", 1L,
            "us", 1_000L,
            "µs", 1_000L,
            "μs", 1_000L,
            "ms", 1_000_000L,
            "s", 1_000_000_000L,
            "m", 60_000_000_000L,
            "h", 3_600_000_000_000L);
    /** Go's durations are 64-bit nanoseconds, about 292 years. */
    private static final BigDecimal LONGEST = BigDecimal.valueOf(Long.MAX_VALUE);
    /** No reasonable duration is longer; this keeps the decimal arithmetic small. */
    private static final int LONGEST_TEXT = 64;

    @Override
    public Duration convert(String value) {
        return parse(value);
    }

    /**
     * Parses a duration.
     *
     * @throws IllegalArgumentException if the text is not a duration; the message says what is allowed
     */
    public static Duration parse(String text) {
        String unsigned = text.startsWith("+") ? text.substring(1) : text;
        if (unsigned.equals("0")) {
            return Duration.ZERO;
        }
        if (unsigned.isEmpty() || unsigned.length() > LONGEST_TEXT) {
            throw notADuration();
        }
        BigDecimal nanos = BigDecimal.ZERO;
        Matcher part = PART.matcher(unsigned);
        int end = 0;
        while (part.lookingAt()) {
            nanos = nanos.add(new BigDecimal(part.group(1)).multiply(BigDecimal.valueOf(NANOS.get(part.group(2)))));
            end = part.end();
            part.region(end, unsigned.length());
        }
        if (end != unsigned.length() || nanos.compareTo(LONGEST) > 0) {
            throw notADuration();
        }
        return Duration.ofNanos(nanos.setScale(0, RoundingMode.DOWN).longValueExact());
    }

    private static IllegalArgumentException notADuration() {
        return new IllegalArgumentException("must be a duration of 0 or more, such as 3h, 1h30m, 90s or 0");
    }
}
