package dev.podidentity.agent;

import dev.podidentity.emulator.EksAuthEmulator;
import dev.podidentity.emulator.Gate;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.http.HttpClient;
import io.vertx.core.http.HttpClientOptions;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.RequestOptions;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Measures the packaged agent on loopback: {@code mvn -Pbenchmark}. Asserts nothing. The client and the emulated EKS
 * Auth run in this process and take their share of the processors, so the figures are an upper bound.
 */
public final class Benchmark {

    private static final int WAITERS = 200;
    private static final int WARM_UP_ROUNDS = 5;
    private static final int ROUNDS = 20;
    private static final int UPSTREAM_MILLIS = 300;
    private static final int CONNECTIONS = 64;
    private static final int WARM_UP = 50_000;
    private static final int REQUESTS = 200_000;
    private static final double NANOS_PER_MILLI = 1e6;

    private final Vertx vertx = Vertx.vertx();
    private final EksAuthEmulator emulator;
    private final AgentProcess agent;
    private final HttpClient client;
    /** Answers of 503, after which an SDK asks again. */
    private final AtomicInteger retries = new AtomicInteger();

    private Benchmark(EksAuthEmulator emulator, AgentProcess agent) {
        this.emulator = emulator;
        this.agent = agent;
        this.client = vertx.createHttpClient(new HttpClientOptions().setMaxPoolSize(WAITERS).setMaxWaitQueueSize(-1));
    }

    public static void main(String... args) throws IOException {
        try (EksAuthEmulator emulator = Emulators.start();
                AgentProcess agent = AgentProcess.start(emulator, "--verbosity", "info")) {
            Benchmark benchmark = new Benchmark(emulator, agent);
            try {
                benchmark.hits();
                benchmark.waiters();
            } finally {
                benchmark.vertx.close().toCompletionStage().toCompletableFuture().join();
            }
        }
    }

    /** How long after EKS Auth has answered its one call each of many waiting clients has its answer. */
    private void waiters() throws IOException {
        List<Long> delays = new ArrayList<>();
        retries.set(0);
        for (int round = -WARM_UP_ROUNDS; round < ROUNDS; round++) {
            emulator.resetCounts();
            Gate gate = emulator.hold();
            String token = Emulators.token(emulator, "pod-" + round);
            List<CompletableFuture<Long>> answers = new ArrayList<>();
            for (int i = 0; i < WAITERS; i++) {
                answers.add(ask(token).toCompletionStage().toCompletableFuture());
            }
            emulator.whenCalls(1).join();
            CompletableFuture.delayedExecutor(UPSTREAM_MILLIS, TimeUnit.MILLISECONDS).execute(gate::release);
            List<Long> answered = answers.stream().map(CompletableFuture::join).toList();
            if (round >= 0) {
                answered.forEach(nanos -> delays.add(nanos - emulator.lastEnd()));
            }
            if (emulator.calls() != 1) {
                System.out.println("round " + round + " took " + emulator.calls() + " calls");
            }
        }
        System.out.printf("%d clients, one token, EKS Auth taking %d ms, %d rounds: after its end p50 %.1f, p99 %.1f,"
                        + " max %.1f ms; %d retries; private memory %s%n",
                WAITERS, UPSTREAM_MILLIS, ROUNDS, percentile(delays, 50), percentile(delays, 99),
                percentile(delays, 100), retries.get(), memory());
    }

    /** How fast a hit is, with many connections. */
    private void hits() throws IOException {
        String token = Emulators.token(emulator, "pod-hit");
        ask(token).toCompletionStage().toCompletableFuture().join();
        run(token, WARM_UP);
        long began = System.nanoTime();
        List<Long> latencies = run(token, REQUESTS);
        double seconds = (System.nanoTime() - began) / 1e9;
        System.out.printf("hits, %d connections, %d requests: %.0f a second, p50 %.2f, p99 %.2f ms; private memory %s%n",
                CONNECTIONS, REQUESTS, REQUESTS / seconds, percentile(latencies, 50), percentile(latencies, 99), memory());
    }

    private List<Long> run(String token, int requests) {
        List<CompletableFuture<long[]>> chains = new ArrayList<>();
        for (int i = 0; i < CONNECTIONS; i++) {
            long[] latencies = new long[requests / CONNECTIONS];
            chains.add(chain(token, latencies, 0).toCompletionStage().toCompletableFuture());
        }
        return chains.stream().flatMap(chain -> Arrays.stream(chain.join()).boxed()).toList();
    }

    private Future<long[]> chain(String token, long[] latencies, int next) {
        if (next == latencies.length) {
            return Future.succeededFuture(latencies);
        }
        long began = System.nanoTime();
        return ask(token).compose(ended -> {
            latencies[next] = ended - began;
            return chain(token, latencies, next + 1);
        });
    }

    private Future<Long> ask(String token) {
        RequestOptions options = new RequestOptions()
                .setMethod(HttpMethod.GET)
                .setHost(AgentProcess.LOOPBACK)
                .setPort(agent.port())
                .setURI("/v1/credentials")
                .putHeader("Host", "169.254.170.23")
                .putHeader("Authorization", token);
        return client.request(options)
                .compose(request -> request.send().compose(response -> response.body().compose(body -> {
                    long ended = System.nanoTime();
                    if (response.statusCode() == 200) {
                        return Future.succeededFuture(ended);
                    }
                    if (response.statusCode() == 503) {
                        retries.incrementAndGet();
                        return ask(token);
                    }
                    return Future.failedFuture("answered " + response.statusCode() + ": " + body);
                })));
    }

    private static double percentile(List<Long> nanos, int percent) {
        List<Long> sorted = nanos.stream().sorted().toList();
        int index = (int) Math.ceil(sorted.size() * percent / 100.0) - 1;
        return sorted.get(Math.max(0, index)) / NANOS_PER_MILLI;
    }

    private String memory() throws IOException {
        return Files.readAllLines(Path.of("/proc/" + agent.pid() + "/status")).stream()
                .filter(line -> line.startsWith("RssAnon"))
                .map(line -> line.replaceFirst("RssAnon:\\s*", ""))
                .findFirst()
                .orElse("unknown");
    }
}
