package dev.podidentity.agent.http;

import dev.podidentity.agent.loop.Shares;
import dev.podidentity.agent.observe.Limit;
import dev.podidentity.agent.observe.LimitReport;
import dev.podidentity.agent.observe.Metrics;
import java.util.Collections;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;

/**
 * The open connections of all listeners of one kind. Limits their number for each source address and in total, and what
 * their unfinished requests may use. If all connections are taken, the source with the most loses an idle one, so that a pod
 * that hoards connections cannot lock out others. Confined to the event loop.
 */
final class Connections {

    private final ConnectionLimits limits;
    private final HeadDecoder decoder = new HeadDecoder();
    private final Metrics metrics;
    private final LimitReport report;
    private final Shares shares;
    private final Set<ClientConnection> open = Collections.newSetFromMap(new IdentityHashMap<>());
    /** The connections of each source, oldest first. */
    private final Map<String, Set<ClientConnection>> bySource = new HashMap<>();
    /** The sources by their number of connections, so that the largest is found immediately. */
    private final TreeMap<Integer, Set<String>> byNumber = new TreeMap<>();
    private int unanswered;
    /** The number of idle scans so far. */
    private int looks;

    Connections(ConnectionLimits limits, Metrics metrics, LimitReport report) {
        this.limits = limits;
        this.metrics = metrics;
        this.report = report;
        this.shares = limits.shares();
    }

    /** Returns whether there is room for another connection of a source. May close an idle one to make room. */
    boolean admits(String source) {
        if (number(source) >= limits.connectionsPerSource()
                && !(limits.replacesIdle() && giveUpIdle(source, Limit.SOURCE_CONNECTIONS))) {
            rejected(Limit.SOURCE_CONNECTIONS, source);
            return false;
        }
        if (open.size() >= limits.connections() && !makeRoomFor(source)) {
            rejected(Limit.CONNECTIONS, source);
            return false;
        }
        return true;
    }

    /** Adds a connection for which there is room, until it closes. */
    void opened(ClientConnection client) {
        open.add(client);
        count(client.source(), () -> bySource.computeIfAbsent(client.source(), key -> new LinkedHashSet<>()).add(client));
        metrics.connected(1);
        client.channel().closeFuture().addListener(closed -> forget(client));
    }

    /** Returns the number of idle scans so far, which serves as a clock that costs nothing to read. */
    int looks() {
        return looks;
    }

    /**
     * Closes the connections without recent activity.
     *
     * @param most the scans, including this one, that a connection may see without activity
     */
    void closeIdle(int most) {
        looks++;
        open.stream().filter(client -> looks - client.moved() > most).toList().forEach(ClientConnection::close);
    }

    /** Closes all connections. */
    void close() {
        List.copyOf(open).forEach(ClientConnection::close);
    }

    /** Returns the number of connections. */
    int open() {
        return open.size();
    }

    /** Returns the number of requests in progress. */
    int busy() {
        return unanswered;
    }

    /** Returns the bytes charged for unfinished work. */
    long held() {
        return shares.ofAll();
    }

    /** A complete request has arrived. */
    void asked() {
        unanswered++;
    }

    /** The responses to this many requests have been sent, or never will be. */
    void answered(int requests) {
        unanswered -= requests;
    }

    /** Reports that a limit rejected a request or connection of a source. */
    void rejected(Limit limit, String source) {
        report.rejected(limit, source);
    }

    /** Returns the decoder that all these connections share. */
    HeadDecoder decoder() {
        return decoder;
    }

    ConnectionLimits limits() {
        return limits;
    }

    /** Returns the division of the requests' bytes among sources. */
    Shares shares() {
        return shares;
    }

    private boolean makeRoomFor(String source) {
        if (byNumber.isEmpty() || byNumber.lastKey() <= number(source) + 1) {
            return false;
        }
        return giveUpIdle(byNumber.lastEntry().getValue().iterator().next(), Limit.CONNECTIONS);
    }

    /** Closes the oldest idle connection of a source, if it has one. */
    private boolean giveUpIdle(String source, Limit limit) {
        Optional<ClientConnection> idle =
                bySource.get(source).stream().filter(client -> !client.busy()).findFirst();
        idle.ifPresent(client -> {
            rejected(limit, source);
            forget(client);
            client.close();
        });
        return idle.isPresent();
    }

    private void forget(ClientConnection client) {
        if (!open.remove(client)) {
            return;
        }
        metrics.connected(-1);
        count(client.source(), () -> bySource.computeIfPresent(client.source(), (key, clients) -> {
            clients.remove(client);
            return clients.isEmpty() ? null : clients;
        }));
        client.closed();
    }

    private int number(String source) {
        return bySource.getOrDefault(source, Set.of()).size();
    }

    /** Changes the connections of a source, and updates the counts. */
    private void count(String source, Runnable change) {
        int before = number(source);
        change.run();
        byNumber.computeIfPresent(before, (key, sources) -> {
            sources.remove(source);
            return sources.isEmpty() ? null : sources;
        });
        int now = number(source);
        if (now > 0) {
            byNumber.computeIfAbsent(now, key -> new LinkedHashSet<>()).add(source);
        }
    }
}
