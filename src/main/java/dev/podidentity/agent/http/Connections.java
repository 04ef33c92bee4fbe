package dev.podidentity.agent.http;

import dev.podidentity.agent.observe.Limit;
import dev.podidentity.agent.observe.Metrics;
import io.netty.channel.Channel;
import io.vertx.core.http.HttpConnection;
import io.vertx.core.net.impl.ConnectionBase;
import java.time.Duration;
import java.util.Comparator;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * The open connections of all credentials listeners: how many there may be of one source address, and of all. Where all
 * are taken, the source with the most gives up one that is idle, so that a pod that hoards connections cannot lock out
 * the others. Confined to the event loop.
 */
final class Connections {

    /** Vert.x's name of it in the pipeline. */
    private static final String ENCODER = "httpEncoder";

    private final int most;
    private final int mostPerSource;
    private final Duration headerTimeout;
    private final Metrics metrics;
    private final Map<HttpConnection, ClientConnection> open = new IdentityHashMap<>();
    /** The connections of each source, the oldest first. */
    private final Map<String, Set<ClientConnection>> bySource = new HashMap<>();

    Connections(int most, int mostPerSource, Duration headerTimeout, Metrics metrics) {
        this.most = most;
        this.mostPerSource = mostPerSource;
        this.headerTimeout = headerTimeout;
        this.metrics = metrics;
    }

    /** Takes in a connection that was accepted, or closes it. */
    void opened(HttpConnection connection) {
        Channel channel = channel(connection);
        String source = connection.remoteAddress().hostAddress();
        if (bySource.getOrDefault(source, Set.of()).size() >= mostPerSource) {
            metrics.limited(Limit.SOURCE_CONNECTIONS);
            channel.close();
            return;
        }
        if (open.size() >= most && !makeRoomFor(source)) {
            metrics.limited(Limit.CONNECTIONS);
            channel.close();
            return;
        }
        ClientConnection client = new ClientConnection(channel, source, headerTimeout, metrics);
        channel.pipeline().addFirst(client).addAfter(ENCODER, null, new RequestTracker(client));
        open.put(connection, client);
        bySource.computeIfAbsent(source, key -> new LinkedHashSet<>()).add(client);
        metrics.connected(1);
        connection.closeHandler(closed -> forget(connection));
    }

    /** The connection of a request; nothing if it was not taken in, or has been given up. */
    Optional<ClientConnection> of(HttpConnection connection) {
        return Optional.ofNullable(open.get(connection));
    }

    /** How many requests are being answered. */
    long busy() {
        return open.values().stream().filter(ClientConnection::busy).count();
    }

    static Channel channel(HttpConnection connection) {
        return ((ConnectionBase) connection).channel();
    }

    private boolean makeRoomFor(String source) {
        Set<ClientConnection> greediest = bySource.values().stream()
                .max(Comparator.comparingInt(Set::size))
                .orElse(Set.of());
        if (greediest.size() <= bySource.getOrDefault(source, Set.of()).size() + 1) {
            return false;
        }
        Optional<ClientConnection> idle = greediest.stream().filter(client -> !client.busy()).findFirst();
        idle.ifPresent(client -> {
            metrics.limited(Limit.CONNECTIONS);
            open.entrySet().stream()
                    .filter(entry -> entry.getValue() == client)
                    .map(Map.Entry::getKey)
                    .findFirst()
                    .ifPresent(this::forget);
            client.close();
        });
        return idle.isPresent();
    }

    private void forget(HttpConnection connection) {
        ClientConnection client = open.remove(connection);
        if (client == null) {
            return;
        }
        metrics.connected(-1);
        bySource.computeIfPresent(client.source(), (key, clients) -> {
            clients.remove(client);
            return clients.isEmpty() ? null : clients;
        });
        client.closed();
    }
}
