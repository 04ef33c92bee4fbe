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
 * The open connections of all listeners of one kind: how many there may be of one source address, and of all, and what
 * their unfinished requests may take. Where all connections are taken, the source with the most gives up one that is
 * idle, so that a pod that hoards connections cannot lock out the others. Confined to the event loop.
 */
final class Connections {

    private final ConnectionLimits limits;
    private final HeadDecoder decoder = new HeadDecoder();
    private final Metrics metrics;
    private final LimitReport report;
    private final Shares shares;
    private final Set<ClientConnection> open = Collections.newSetFromMap(new IdentityHashMap<>());
    /** The connections of each source, the oldest first. */
    private final Map<String, Set<ClientConnection>> bySource = new HashMap<>();
    /** The sources by how many connections they have, so that the greediest is found at once. */
    private final TreeMap<Integer, Set<String>> byNumber = new TreeMap<>();
    private int unanswered;
    /** How often idle connections were looked for. */
    private int looks;

    Connections(ConnectionLimits limits, Metrics metrics, LimitReport report) {
        this.limits = limits;
        this.metrics = metrics;
        this.report = report;
        this.shares = limits.shares();
    }

    /** Whether there is room for another connection of a source; one that is idle may be closed to make some. */
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

    /** Takes in a connection for which there is room, until it is closed. */
    void opened(ClientConnection client) {
        open.add(client);
        count(client.source(), () -> bySource.computeIfAbsent(client.source(), key -> new LinkedHashSet<>()).add(client));
        metrics.connected(1);
        client.channel().closeFuture().addListener(closed -> forget(client));
    }

    /** How often idle connections were looked for, as a clock that costs nothing to read. */
    int looks() {
        return looks;
    }

    /**
     * Closes the connections on which nothing has moved for a while.
     *
     * @param most looks, this one included, that a connection may see without anything moving
     */
    void closeIdle(int most) {
        looks++;
        open.stream().filter(client -> looks - client.moved() > most).toList().forEach(ClientConnection::close);
    }

    /** Closes all connections. */
    void close() {
        List.copyOf(open).forEach(ClientConnection::close);
    }

    /** How many connections there are. */
    int open() {
        return open.size();
    }

    /** How many requests are being answered. */
    int busy() {
        return unanswered;
    }

    /** How many bytes are taken by what is unfinished. */
    long held() {
        return shares.ofAll();
    }

    /** A request has come in whole. */
    void asked() {
        unanswered++;
    }

    /** The answers to so many requests have been sent, or never will be. */
    void answered(int requests) {
        unanswered -= requests;
    }

    /** A limit turned something of a source away. */
    void rejected(Limit limit, String source) {
        report.rejected(limit, source);
    }

    /** Decodes the heads of all these connections, one after another. */
    HeadDecoder decoder() {
        return decoder;
    }

    ConnectionLimits limits() {
        return limits;
    }

    /** Divides the bytes of requests among the sources. */
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

    /** Makes a change to the connections of a source, and counts them. */
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
