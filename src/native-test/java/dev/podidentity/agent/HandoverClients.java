package dev.podidentity.agent;

import static dev.podidentity.agent.RawHttp.request;

import dev.podidentity.emulator.EksAuthEmulator;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Clients that never retry: half of them keep their connections as long as possible, half use a new connection for each
 * request, over both address families. Other clients read the probes and metrics.
 */
final class HandoverClients implements AutoCloseable {

    static final int NUMBER = 50;

    private static final int THREADS = 8;
    private static final Duration PATIENCE = Duration.ofSeconds(60);
    private static final int PAUSE_MILLIS = 20;
    /** Persistent connections are used now and then, some more often than others. */
    private static final int KEPT_PAUSE_MILLIS = 40;
    private static final int OPERATIONS_PAUSE_MILLIS = 200;

    private final ScheduledExecutorService threads = Executors.newScheduledThreadPool(THREADS);
    private final ConcurrentLinkedQueue<String> problems = new ConcurrentLinkedQueue<>();
    private final AtomicInteger served = new AtomicInteger();
    private final List<Client> clients = new ArrayList<>();

    HandoverClients(EksAuthEmulator emulator, int port, int probePort, int metricsPort) {
        for (int i = 0; i < NUMBER; i++) {
            String token = Emulators.token(emulator, "pod-" + i);
            boolean keeps = i % 2 == 0;
            String host = i % 4 < 2 ? AgentProcess.LOOPBACK : "::1";
            add(new Client(host, port, request(token), keeps), keeps ? (i + 1) * KEPT_PAUSE_MILLIS / 2 : PAUSE_MILLIS);
        }
        add(new Client(AgentProcess.LOOPBACK, probePort, request("GET", "/healthz", "Host: localhost"), false),
                OPERATIONS_PAUSE_MILLIS);
        add(new Client(AgentProcess.LOOPBACK, metricsPort, request("GET", "/metrics", "Host: localhost"), false),
                OPERATIONS_PAUSE_MILLIS);
    }

    private void add(Client client, int pause) {
        clients.add(client);
        threads.scheduleWithFixedDelay(client, 0, pause, TimeUnit.MILLISECONDS);
    }

    /** Waits until each client has completed this many further requests. */
    void awaitRounds(int rounds) {
        try {
            CompletableFuture.allOf(clients.stream().map(client -> client.more(rounds)).toArray(CompletableFuture[]::new))
                    .get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } catch (ExecutionException | TimeoutException e) {
            throw new IllegalStateException("The clients are not served: " + problems, e);
        }
    }

    /** Stops new requests; requests in flight are completed. */
    void stop() {
        threads.shutdown();
        try {
            if (!threads.awaitTermination(PATIENCE.toSeconds(), TimeUnit.SECONDS)) {
                problems.add("A client is not answered");
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Returns the failures that clients without retries would have seen. */
    List<String> problems() {
        return List.copyOf(problems);
    }

    int served() {
        return served.get();
    }

    @Override
    public void close() {
        threads.shutdownNow();
        clients.forEach(Client::end);
    }

    private final class Client implements Runnable {

        private final String host;
        private final int port;
        private final String request;
        private final boolean keeps;
        private RawHttp connection;
        // Both guarded by this.
        private int left;
        private CompletableFuture<Void> done = CompletableFuture.completedFuture(null);

        Client(String host, int port, String request, boolean keeps) {
            this.host = host;
            this.port = port;
            this.request = request;
            this.keeps = keeps;
        }

        @Override
        public void run() {
            boolean reused = connection != null;
            try {
                if (!reused) {
                    connection = new RawHttp(host, port);
                }
                RawHttp.Answer answer = connection.send(request).answer();
                if (answer.status() != 200) {
                    problems.add(answer.statusLine() + " " + answer.body());
                }
                served.incrementAndGet();
                if (!keeps || answer.header("connection").equals(Optional.of("close"))) {
                    end();
                }
                counted();
            } catch (IOException e) {
                problems.add(e + (reused ? " on a connection that was used before" : " on a new connection") + " of " + host + ':' + port);
                end();
            }
        }

        void end() {
            if (connection != null) {
                try {
                    connection.close();
                } catch (IOException e) {
                    problems.add("A connection cannot be closed: " + e);
                }
                connection = null;
            }
        }

        synchronized CompletableFuture<Void> more(int rounds) {
            left = rounds;
            done = new CompletableFuture<>();
            return done;
        }

        private synchronized void counted() {
            if (--left == 0) {
                done.complete(null);
            }
        }
    }
}
