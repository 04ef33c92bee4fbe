package dev.podidentity.agent;

import dev.podidentity.agent.badday.Client;
import dev.podidentity.agent.badday.Exchange;
import dev.podidentity.agent.badday.History.Pause;
import io.vertx.core.Vertx;
import io.vertx.core.VertxOptions;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.file.FileSystemOptions;
import io.vertx.core.http.HttpClient;
import io.vertx.core.http.HttpClientOptions;
import io.vertx.core.http.HttpClientRequest;
import io.vertx.core.http.HttpClientResponse;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.RequestOptions;
import io.vertx.core.net.SocketAddress;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.LongSupplier;

/**
 * Hundreds of pods that keep requesting credentials like their SDKs, all on one thread. Records the result of each request,
 * and when this thread was stalled. The methods may be called from any thread.
 */
final class SdkClients implements AutoCloseable {

    private static final String HOST = "169.254.170.23";
    private static final int HTTP_PORT = 80;
    private static final int CONNECTIONS = 1_000;
    private static final int HURRY_MILLIS = 1_000;
    private static final int LOOK_EVERY_MILLIS = 10;
    private static final long NO_PAUSE = Duration.ofMillis(30).toNanos();
    /** Connections are closed earlier than by the agent, so that no request meets a connection that has just ended. */
    private static final int IDLE_SECONDS = 3;

    private final Vertx vertx = Vertx.vertx(new VertxOptions()
            .setEventLoopPoolSize(1)
            .setFileSystemOptions(new FileSystemOptions().setClassPathResolvingEnabled(false).setFileCachingEnabled(false)));
    private final SocketAddress agent;
    private final LongSupplier now;
    private final Duration longestRest;
    private final Map<Integer, Pod> slots = new ConcurrentHashMap<>();
    /** When the last request of each slot began that received credentials. */
    private final Map<Integer, Long> served = new ConcurrentHashMap<>();
    private final ConcurrentLinkedQueue<Exchange> exchanges = new ConcurrentLinkedQueue<>();
    private final ConcurrentLinkedQueue<Pause> pauses = new ConcurrentLinkedQueue<>();
    // Confined to the event loop.
    private final Random random;
    private final Map<String, HttpClient> connections = new HashMap<>();
    private final Map<String, String> bodies = new HashMap<>();
    /** The timers of the slots whose pods are idle. */
    private final Map<Integer, Long> resting = new HashMap<>();
    private long looked;
    private boolean stopped;

    /** A pod and its token. */
    record Pod(Client client, String token) {}

    /**
     * @param now the nanoseconds of the day
     * @param longestRest the maximum pause of a pod between two requests
     */
    SdkClients(int port, LongSupplier now, Duration longestRest, long seed) {
        this.agent = SocketAddress.inetSocketAddress(port, AgentProcess.LOOPBACK);
        this.now = now;
        this.longestRest = longestRest;
        this.random = new Random(seed);
        this.looked = now.getAsLong();
        vertx.setPeriodic(LOOK_EVERY_MILLIS, timer -> look());
    }

    private void look() {
        long at = now.getAsLong();
        if (at - looked > NO_PAUSE) {
            pauses.add(new Pause(looked, at));
        }
        looked = at;
    }

    /** Puts a pod into its slot, where it replaces the previous one. */
    void put(Pod pod) {
        if (slots.put(pod.client().slot(), pod) == null) {
            vertx.runOnContext(begun -> rest(pod.client().slot()));
        }
    }

    /** Makes one request, in no slot and whatever its result. */
    void askOnce(Pod pod) {
        vertx.runOnContext(begun -> ask(pod, ignored -> { }));
    }

    /** Makes all idle pods send a request within a second. */
    void hurry() {
        vertx.runOnContext(begun -> {
            for (int slot : List.copyOf(resting.keySet())) {
                if (vertx.cancelTimer(resting.get(slot))) {
                    rest(slot, Duration.ofMillis(1 + random.nextInt(HURRY_MILLIS)));
                }
            }
        });
    }

    /** Returns how many slots have received no credentials for a request since then. */
    int notServedSince(long start) {
        return (int) slots.keySet().stream().filter(slot -> served.getOrDefault(slot, -1L) < start).count();
    }

    /**
     * Waits until every slot has received credentials for a request since then.
     *
     * @param patience the timeout
     * @return the number of slots that have not
     */
    int awaitServedSince(long start, Duration patience) throws InterruptedException {
        long end = System.nanoTime() + patience.toNanos();
        synchronized (served) {
            long left = patience.toMillis();
            while (notServedSince(start) > 0 && left > 0) {
                served.wait(left);
                left = TimeUnit.NANOSECONDS.toMillis(end - System.nanoTime());
            }
        }
        return notServedSince(start);
    }

    List<Exchange> exchanges() {
        return new ArrayList<>(exchanges);
    }

    List<Pause> pauses() {
        return new ArrayList<>(pauses);
    }

    private void rest(int slot) {
        rest(slot, Duration.ofMillis((long) (longestRest.toMillis() * (0.25 + 0.75 * random.nextDouble()))));
    }

    private void rest(int slot, Duration length) {
        if (!stopped) {
            resting.put(slot, vertx.setTimer(length.toMillis(), timer -> {
                resting.remove(slot);
                call(slots.get(slot), 1);
            }));
        }
    }

    private void after(Duration pause, Runnable action) {
        if (stopped) {
            return;
        }
        if (pause.isZero()) {
            vertx.runOnContext(now -> action.run());
        } else {
            vertx.setTimer(pause.toMillis(), timer -> action.run());
        }
    }

    /** Makes one call of an SDK, with its retries. */
    private void call(Pod pod, int tried) {
        if (stopped) {
            return;
        }
        ask(pod, exchange -> {
            if (again(exchange) && tried < pod.client().kind().tries()) {
                after(pod.client().kind().pause(), () -> call(pod, tried + 1));
            } else {
                rest(pod.client().slot());
            }
        });
    }

    private static boolean again(Exchange exchange) {
        return !(exchange.reply() instanceof Exchange.Answer answer)
                || switch (exchange.client().kind()) {
                    case JAVA, GO -> answer.status() >= 500;
                    case BOTOCORE, JAVASCRIPT -> answer.status() != 200;
                };
    }

    private void ask(Pod pod, Consumer<Exchange> done) {
        new Asking(pod, done).begin();
    }

    private HttpClient connectionsOf(Client client) {
        boolean kept = client.kind().keepsConnections();
        return connections.computeIfAbsent(client.source() + kept, key -> vertx.createHttpClient(new HttpClientOptions()
                .setLocalAddress(client.source())
                .setKeepAlive(kept)
                .setKeepAliveTimeout(IDLE_SECONDS)
                .setMaxPoolSize(CONNECTIONS)
                .setConnectTimeout((int) Duration.ofSeconds(10).toMillis())));
    }

    /** One request. */
    private final class Asking {

        private final Pod pod;
        private final Consumer<Exchange> done;
        private final long start = now.getAsLong();
        private Optional<HttpClientRequest> request = Optional.empty();
        private long timer;
        private boolean over;

        Asking(Pod pod, Consumer<Exchange> done) {
            this.pod = pod;
            this.done = done;
        }

        void begin() {
            timer = vertx.setTimer(pod.client().timeout().toMillis(), late -> end(new Exchange.GivenUp()));
            connectionsOf(pod.client())
                    .request(new RequestOptions()
                            .setServer(agent)
                            .setHost(HOST)
                            .setPort(HTTP_PORT)
                            .setMethod(HttpMethod.GET)
                            .setURI("/v1/credentials"))
                    .onSuccess(this::send)
                    .onFailure(thrown -> end(new Exchange.Unreachable(thrown.toString())));
        }

        private void send(HttpClientRequest made) {
            if (over) {
                made.reset();
                return;
            }
            request = Optional.of(made);
            made.putHeader("Authorization", pod.token());
            pod.client().kind().userAgent().ifPresent(text -> made.putHeader("User-Agent", text));
            made.send()
                    .compose(response -> response.body().onSuccess(body -> end(answer(response, body))))
                    .onFailure(thrown -> end(new Exchange.Broken(thrown.toString())));
        }

        private Exchange.Answer answer(HttpClientResponse response, Buffer body) {
            return new Exchange.Answer(
                    response.statusCode(),
                    header(response, "Content-Type"),
                    header(response, "Cache-Control"),
                    header(response, "Retry-After"),
                    bodies.computeIfAbsent(body.toString(), same -> same));
        }

        private static String header(HttpClientResponse response, String name) {
            return String.join(",", response.headers().getAll(name)).intern();
        }

        private void end(Exchange.Reply reply) {
            if (over) {
                return;
            }
            over = true;
            vertx.cancelTimer(timer);
            Exchange exchange = new Exchange(pod.client(), start, now.getAsLong(), reply);
            if (!stopped) {
                exchanges.add(exchange);
                if (exchange.served()) {
                    synchronized (served) {
                        served.put(pod.client().slot(), start);
                        served.notifyAll();
                    }
                }
            }
            if (reply instanceof Exchange.GivenUp) {
                request.ifPresent(HttpClientRequest::reset);
            }
            done.accept(exchange);
        }
    }

    /** Stops the requests; the results of requests in flight are not recorded. */
    @Override
    public void close() {
        vertx.runOnContext(last -> stopped = true);
        vertx.close().toCompletionStage().toCompletableFuture().join();
    }
}
