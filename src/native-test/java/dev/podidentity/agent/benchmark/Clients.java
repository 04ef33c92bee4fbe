package dev.podidentity.agent.benchmark;

import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.http.HttpClient;
import io.vertx.core.http.HttpClientOptions;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.RequestOptions;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Clients that do what wrk cannot: they have several addresses, send each token once, and retry like the AWS SDK for Java,
 * five times at once after a status of 500 or more, after a broken connection, and after a second without a response.
 */
final class Clients implements AutoCloseable {

    private static final String LOOPBACK = "127.0.0.1";
    private static final int RETRIES = 5;
    private static final int PATIENCE_MILLIS = 1_000;
    private static final int OK = 200;
    private static final int SERVER_ERROR = 500;
    private static final double NANOS_PER_MILLI = 1e6;

    private final Vertx vertx = Vertx.vertx();
    private final List<HttpClient> bySource = new ArrayList<>();
    private final int atOnce;

    /** The result of a client: when it began, and when it had its credentials or gave up, by {@link System#nanoTime()}. */
    record Served(boolean served, long began, long ended, int retries) {

        double millis() {
            return (ended - began) / NANOS_PER_MILLI;
        }
    }

    /** @param atOnce the number of concurrent clients, each on its own connection */
    Clients(int atOnce) {
        this(atOnce, List.of(LOOPBACK));
    }

    /** @param sources their addresses, used in turn */
    Clients(int atOnce, List<String> sources) {
        this.atOnce = atOnce;
        int each = (atOnce + sources.size() - 1) / sources.size();
        for (String source : sources) {
            bySource.add(vertx.createHttpClient(new HttpClientOptions()
                    .setLocalAddress(source)
                    .setConnectTimeout(PATIENCE_MILLIS)
                    .setMaxPoolSize(each)
                    .setMaxWaitQueueSize(-1)));
        }
    }

    /** Sends one request per token; a client that has its response takes the next token. */
    List<Served> ask(int port, List<String> tokens) {
        List<Served> all = Collections.synchronizedList(new ArrayList<>());
        AtomicInteger next = new AtomicInteger();
        List<CompletableFuture<Void>> done = new ArrayList<>();
        for (int i = 0; i < Math.min(atOnce, tokens.size()); i++) {
            HttpClient client = bySource.get(i % bySource.size());
            CompletableFuture<Void> end = new CompletableFuture<>();
            done.add(end);
            askNext(client, port, tokens, next, all, end);
        }
        done.forEach(CompletableFuture::join);
        return List.copyOf(all);
    }

    private void askNext(
            HttpClient client, int port, List<String> tokens, AtomicInteger next, List<Served> all, CompletableFuture<Void> end) {
        int index = next.getAndIncrement();
        if (index >= tokens.size()) {
            end.complete(null);
            return;
        }
        ask(client, port, tokens.get(index), System.nanoTime(), 0).onComplete(asked -> {
            all.add(asked.result());
            askNext(client, port, tokens, next, all, end);
        });
    }

    /** Never fails. */
    private Future<Served> ask(HttpClient client, int port, String token, long began, int retries) {
        return status(client, port, token).compose(status -> {
            if (status >= SERVER_ERROR && retries < RETRIES) {
                return ask(client, port, token, began, retries + 1);
            }
            return Future.succeededFuture(new Served(status == OK, began, System.nanoTime(), retries));
        });
    }

    /** Returns the status of the complete response; that of a server error if there is none. */
    private Future<Integer> status(HttpClient client, int port, String token) {
        RequestOptions options = new RequestOptions()
                .setMethod(HttpMethod.GET)
                .setHost(LOOPBACK)
                .setPort(port)
                .setURI("/v1/credentials")
                .setTimeout(PATIENCE_MILLIS)
                .putHeader("Host", "169.254.170.23")
                .putHeader("Authorization", token);
        return client.request(options)
                .compose(request -> request.send())
                .compose(response -> response.body().map(body -> response.statusCode()))
                .otherwise(SERVER_ERROR);
    }

    @Override
    public void close() {
        vertx.close().toCompletionStage().toCompletableFuture().join();
    }
}
