package dev.podidentity.agent.observe;

import dev.podidentity.agent.loop.BoundedMap;
import dev.podidentity.agent.loop.TokenBucket;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.LongSupplier;
import org.jboss.logging.Logger;

/**
 * Counts what the limits turn away, and names the sources in the log: each source at most once in ten seconds for each
 * limit, and all of them together a few times a second, so that a source that is turned away thousands of times costs a
 * line. Confined to the event loop.
 */
public final class LimitReport {

    private static final Logger LOG = Logger.getLogger(LimitReport.class);

    private static final long QUIET_NANOS = Duration.ofSeconds(10).toNanos();
    /** For each limit. A node has some hundreds of pods, and few of them meet a limit. */
    private static final int MOST_SOURCES = 128;
    /** Whoever has many addresses must not fill the log with them. */
    private static final int LINES_PER_SECOND = 5;
    private static final int LINES_AT_ONCE = 50;

    private final Metrics metrics;
    private final LongSupplier nanos;
    private final TokenBucket lines;
    private final Map<Limit, BoundedMap<String, Rejections>> sources = new EnumMap<>(Limit.class);

    /** @param nanos a monotonic clock */
    public LimitReport(Metrics metrics, LongSupplier nanos) {
        this.metrics = metrics;
        this.nanos = nanos;
        this.lines = new TokenBucket(LINES_PER_SECOND, LINES_AT_ONCE, nanos.getAsLong());
        for (Limit limit : Limit.values()) {
            sources.put(limit, new BoundedMap<>(MOST_SOURCES));
        }
    }

    /**
     * A limit turned something of a source away.
     *
     * @param source the address it came from
     */
    public void rejected(Limit limit, String source) {
        metrics.limited(limit);
        long now = nanos.getAsLong();
        Rejections rejections = sources.get(limit).computeIfAbsent(source, key -> new Rejections());
        rejections.unlogged++;
        rejections.all++;
        rejections.lastAt = now;
        if ((rejections.logged && now - rejections.loggedAt < QUIET_NANOS) || !lines.tryTake(now)) {
            return;
        }
        LOG.warnf("A limit rejected requests from a source address",
                Field.of("source", source),
                Field.of("limit", limit.label()),
                Field.of("count", rejections.unlogged),
                Field.of("remedy", limit.remedy()));
        rejections.logged = true;
        rejections.loggedAt = now;
        rejections.unlogged = 0;
    }

    /**
     * What the limits turned away of one source.
     *
     * @param address of the source
     * @param rejections how many, of each limit that it met
     * @param sinceLast the time since the last one
     */
    public record LimitedSource(String address, Map<Limit, Long> rejections, Duration sinceLast) {}

    /** The sources that a limit turned away, the last one first. Those that were turned away longest ago are forgotten. */
    public List<LimitedSource> limitedSources() {
        long now = nanos.getAsLong();
        Map<String, LimitedSource> byAddress = new HashMap<>();
        sources.forEach((limit, limited) -> limited.forEach((address, rejections) -> {
            LimitedSource before = byAddress.computeIfAbsent(
                    address, key -> new LimitedSource(address, new EnumMap<>(Limit.class), Duration.ofNanos(Long.MAX_VALUE)));
            before.rejections().put(limit, rejections.all);
            Duration sinceLast = Duration.ofNanos(now - rejections.lastAt);
            byAddress.put(address, new LimitedSource(
                    address,
                    before.rejections(),
                    sinceLast.compareTo(before.sinceLast()) < 0 ? sinceLast : before.sinceLast()));
        }));
        List<LimitedSource> all = new ArrayList<>(byAddress.values());
        all.sort(Comparator.comparing(LimitedSource::sinceLast).thenComparing(LimitedSource::address));
        return all;
    }

    /** What one limit turned away of one source. */
    private static final class Rejections {

        private boolean logged;
        /** When its last line was written, in nanoseconds of the monotonic clock. */
        private long loggedAt;
        /** Those since then, this one included. */
        private long unlogged;
        private long all;
        /** When the last one was, by the same clock. */
        private long lastAt;
    }
}
