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
 * Counts what the limits reject, and logs the source addresses: each source at most once in ten seconds per limit, and all
 * sources together a few times per second, so that thousands of rejections of one source cost one line. Confined to the
 * event loop.
 */
public final class LimitReport {

    private static final Logger LOG = Logger.getLogger(LimitReport.class);

    private static final long QUIET_NANOS = Duration.ofSeconds(10).toNanos();
    /** Per limit. A node has some hundreds of pods, few of which reach a limit. */
    private static final int MOST_SOURCES = 128;
    /** A client with many addresses must not flood the log. */
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
     * Reports that a limit rejected something.
     *
     * @param source the source address
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
     * What the limits rejected from one source.
     *
     * @param address the source address
     * @param rejections the number of rejections per limit
     * @param sinceLast the time since the last rejection
     */
    public record LimitedSource(String address, Map<Limit, Long> rejections, Duration sinceLast) {}

    /** Returns the rejected sources, most recent first. Those rejected longest ago are evicted. */
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

    /** What one limit rejected from one source. */
    private static final class Rejections {

        private boolean logged;
        /** When the last line was logged, in nanoseconds of the monotonic clock. */
        private long loggedAt;
        /** The rejections since that line, including the current one. */
        private long unlogged;
        private long all;
        /** When the last rejection was, by the same clock. */
        private long lastAt;
    }
}
