package dev.podidentity.agent;

import io.vertx.core.Vertx;
import io.vertx.core.VertxOptions;
import io.vertx.core.file.FileSystemOptions;
import io.vertx.core.net.NetClient;
import io.vertx.core.net.NetClientOptions;
import io.vertx.core.net.NetSocket;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Random;

/**
 * A pod that sends what no SDK sends, some tens of times per second: forged tokens, heads that never end or are too large,
 * garbage, and connections that it closes at once. Alternatively, a pod that holds as many connections as it can get.
 */
final class HostilePod implements AutoCloseable {

    private static final long ACT_EVERY_MILLIS = 20;
    private static final int HELD = 200;
    private static final String HEAD = "GET /v1/credentials HTTP/1.1\r\nHost: 169.254.170.23\r\n";
    private static final List<String> WORDS = List.of(
            HEAD + "Authorization: eyJ",
            HEAD + "X-Padding: " + "x".repeat(40_000),
            HEAD + "a:\r\n".repeat(200) + "\r\n",
            "POST /v1/credentials HTTP/1.1\r\nHost: 169.254.170.23\r\nContent-Length: 1000000\r\n\r\n{",
            "GET /v1/credentials HTTP/1.1\r\nHost: example.com\r\n\r\n",
            "\u0016\u0003\u0001\u0002\u0000\u0001",
            "\r\n\r\n\r\n");

    private final Vertx vertx = Vertx.vertx(new VertxOptions()
            .setEventLoopPoolSize(1)
            .setFileSystemOptions(new FileSystemOptions().setClassPathResolvingEnabled(false).setFileCachingEnabled(false)));
    private final int port;
    private final NetClient net;
    // Confined to the event loop.
    private final Random random;
    private final Deque<NetSocket> held = new ArrayDeque<>();

    private HostilePod(String source, int port, long seed) {
        this.port = port;
        this.random = new Random(seed);
        this.net = vertx.createNetClient(new NetClientOptions().setLocalAddress(source).setConnectTimeout(1_000));
    }

    /** Returns a pod that sends what no SDK sends. */
    static HostilePod abusive(String source, int port, long seed, SdkClients clients, List<SdkClients.Pod> victims) {
        HostilePod pod = new HostilePod(source, port, seed);
        pod.vertx.setPeriodic(ACT_EVERY_MILLIS, timer -> pod.abuse(source, clients, victims));
        return pod;
    }

    /** Returns a pod that holds connections, a few more each time. */
    static HostilePod greedy(String source, int port, long seed) {
        HostilePod pod = new HostilePod(source, port, seed);
        pod.vertx.setPeriodic(ACT_EVERY_MILLIS, timer -> pod.hold(""));
        return pod;
    }

    private void abuse(String source, SdkClients clients, List<SdkClients.Pod> victims) {
        if (random.nextInt(3) > 0) {
            hold(WORDS.get(random.nextInt(WORDS.size())));
            return;
        }
        SdkClients.Pod victim = victims.get(random.nextInt(victims.size()));
        SdkClients.Pod other = victims.get(random.nextInt(victims.size()));
        clients.askOnce(new SdkClients.Pod(victim.client().forged(source), forged(victim.token(), other.token())));
    }

    /** Returns the claims of one pod's token with the signature of another's, or with its own after one bit is changed. */
    private static String forged(String token, String other) {
        String signature = token.equals(other)
                ? (token.charAt(token.lastIndexOf('.') + 1) == 'A' ? "B" : "A") + token.substring(token.lastIndexOf('.') + 2)
                : other.substring(other.lastIndexOf('.') + 1);
        return token.substring(0, token.lastIndexOf('.') + 1) + signature;
    }

    private void hold(String words) {
        net.connect(port, AgentProcess.LOOPBACK).onSuccess(socket -> {
            socket.exceptionHandler(expected -> { });
            if (!words.isEmpty()) {
                socket.write(words);
            }
            held.add(socket);
            if (held.size() > HELD) {
                held.remove().close();
            }
        });
    }

    /** Closes all its connections. */
    @Override
    public void close() {
        vertx.close().toCompletionStage().toCompletableFuture().join();
    }
}
