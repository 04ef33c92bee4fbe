package dev.podidentity.agent.apiserver;

import dev.podidentity.agent.loop.FairQueue;
import dev.podidentity.agent.loop.FairQueue.Turn;
import dev.podidentity.agent.loop.Loop;
import dev.podidentity.agent.loop.Timers.Timer;
import dev.podidentity.agent.observe.BuildInfo;
import dev.podidentity.agent.outbound.CallFailure;
import io.fabric8.kubernetes.client.RequestConfigBuilder;
import io.fabric8.kubernetes.client.http.AsyncBody;
import io.fabric8.kubernetes.client.http.HttpClient;
import io.fabric8.kubernetes.client.http.HttpClient.ProxyType;
import io.fabric8.kubernetes.client.http.HttpRequest;
import io.fabric8.kubernetes.client.http.HttpResponse;
import io.fabric8.kubernetes.client.http.StandardHttpRequest;
import io.fabric8.kubernetes.client.vertx.VertxHttpClientBuilder;
import io.netty.buffer.Unpooled;
import io.vertx.core.Future;
import io.vertx.core.Promise;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.UnknownHostException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Base64;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;

/**
 * Makes calls with the HTTP client of the Kubernetes client library. Each call ends within its limits, and its User-Agent is
 * the agent's name and version. Confined to the event loop, which the library also uses.
 */
public final class HttpCalls implements HttpClient.Factory {

    private static final int OK = 200;
    /** The API server's audit logs show it. */
    private static final String USER_AGENT = "eks-pod-identity-agent/" + BuildInfo.current();
    private static final Duration CONNECT_TIMEOUT = Duration.ofSeconds(3);

    private final Vertx vertx;
    private final Loop loop;
    private final Executor worker;
    /** Limits the connections, because the library's own pool has a fixed size of 8,192. */
    private final FairQueue<Exchange> exchanges;

    /**
     * @param worker runs blocking tasks
     * @param mostAtOnce the maximum number of calls in flight; others wait
     */
    public HttpCalls(Vertx vertx, Loop loop, Executor worker, int mostAtOnce) {
        this.vertx = vertx;
        this.loop = loop;
        this.worker = worker;
        this.exchanges = new FairQueue<>(mostAtOnce, (all, exchange) -> exchange.start());
    }

    /**
     * Creates a client on the agent's own Vert.x, without what the library would take from the environment. It uses
     * HTTP/1.1, no proxy, no redirects and no retries, because callers decide when to retry.
     */
    @Override
    public HttpClient.Builder newBuilder() {
        HttpClient.Builder builder = new VertxHttpClientBuilder<>(this, vertx)
                .preferHttp11()
                .proxyType(ProxyType.DIRECT)
                .connectTimeout(CONNECT_TIMEOUT.toMillis(), TimeUnit.MILLISECONDS);
        builder.tag(new RequestConfigBuilder().withRequestRetryBackoffLimit(0).build());
        return builder;
    }

    /**
     * Sends a client's calls through a proxy, whose URL has a scheme, a host, a port and optionally a user name and
     * password.
     */
    public static void through(URI proxy, HttpClient.Builder builder) {
        builder.proxyType(ProxyType.HTTP).proxyAddress(InetSocketAddress.createUnresolved(proxy.getHost(), proxy.getPort()));
        if (proxy.getUserInfo() != null) {
            byte[] credentials = proxy.getUserInfo().getBytes(StandardCharsets.UTF_8);
            builder.proxyAuthorization("Basic " + Base64.getEncoder().encodeToString(credentials));
        }
    }

    /** Starts to build a request. */
    public static HttpRequest.Builder request(String url, String accept, Limits limits) {
        return new StandardHttpRequest.Builder()
                .uri(url)
                .header("Accept", accept)
                .header("User-Agent", USER_AGENT)
                // The library enforces this timeout until the response begins, on a thread of its own; later the call's
                // timers apply.
                .timeout(limits.head().toMillis(), TimeUnit.MILLISECONDS);
    }

    /**
     * Makes a call.
     *
     * @return completes once, on the event loop; fails with a {@link CallFailure}
     */
    public Future<ApiAnswer> make(Call call) {
        Exchange exchange = new Exchange(call);
        exchange.begin();
        return exchange.answer.future();
    }

    /**
     * A call to make, with its limits.
     *
     * @param client supplies the client when the call's turn comes; empty if the agent makes no more calls
     * @param connectTo the host to connect to: the server, or the proxy in front of it
     * @param parts receives the body of a 200 response as it arrives; the response then has an empty body
     */
    public record Call(
            Supplier<Optional<HttpClient>> client,
            HttpRequest request,
            String connectTo,
            Limits limits,
            Optional<Parts> parts,
            Callee callee) {

        /** Omits the request, which may contain tokens. */
        @Override
        public String toString() {
            return "Call[" + callee.name() + "]";
        }
    }

    /**
     * @param total the timeout of the whole call
     * @param silence the timeout between two parts of a body
     * @param mostBytes the maximum size of a body that is kept in memory
     */
    public record Limits(Duration total, Duration silence, int mostBytes) {

        /** A list may take longer to start than the gap between two of its parts. */
        private static final Duration LONG_HEAD = Duration.ofSeconds(30);

        /** Returns the timeout until the response begins. */
        private Duration head() {
            Duration longer = silence.compareTo(LONG_HEAD) > 0 ? silence : LONG_HEAD;
            return total.compareTo(longer) < 0 ? total : longer;
        }
    }

    /** Receives a body part by part. */
    public interface Parts {

        /** Called when a response with status 200 begins. */
        default void begin() {}

        /** @throws CallFailure if the rest is of no use; the connection is then closed */
        void take(Buffer part) throws CallFailure;
    }

    /** One call in flight or waiting for its turn. */
    private final class Exchange {

        private final Call call;
        private final Promise<ApiAnswer> answer = Promise.promise();
        private final Buffer kept = Buffer.buffer();
        private Optional<AsyncBody> body = Optional.empty();
        private boolean partsTake;
        private Timer total;
        private Timer silence;
        private boolean started;
        private boolean over;

        Exchange(Call call) {
            this.call = call;
        }

        void begin() {
            total = loop.schedule(call.limits.total(), () -> fail(call.callee.late()));
            silence = total;
            exchanges.add("", this);
        }

        /**
         * Resolves the host name on the worker, because the platform's resolver blocks. The library resolves it again on the
         * event loop, where the JDK answers from its cache, which keeps names for 30 s.
         */
        private Turn start() {
            // If the task fails unexpectedly, the call's total timeout ends the call.
            worker.execute(() -> {
                try {
                    InetAddress.getByName(call.connectTo);
                    loop.execute(this::send);
                } catch (UnknownHostException e) {
                    loop.execute(() -> fail(call.callee.of(e)));
                }
            });
            started = true;
            return Turn.STARTED;
        }

        private void send() {
            if (over) {
                return;
            }
            Optional<HttpClient> client = call.client.get();
            if (client.isEmpty()) {
                fail(call.callee.closing());
                return;
            }
            client.get().consumeBytes(call.request, this::take).whenComplete((response, thrown) -> loop.execute(() -> {
                if (thrown == null) {
                    receive(response);
                } else {
                    fail(call.callee.of(thrown));
                }
            }));
        }

        private void receive(HttpResponse<AsyncBody> response) {
            if (over) {
                response.body().cancel();
                return;
            }
            body = Optional.of(response.body());
            listen();
            partsTake = call.parts.isPresent() && response.code() == OK;
            if (partsTake) {
                call.parts.get().begin();
            }
            response.body().done().whenComplete((ended, thrown) -> loop.execute(() -> {
                if (thrown != null) {
                    fail(call.callee.of(thrown));
                } else if (!over) {
                    end();
                    answer.complete(new ApiAnswer(
                            response.code(),
                            kept,
                            Optional.ofNullable(response.header("Date")),
                            Optional.ofNullable(response.header("x-amzn-ErrorType"))));
                }
            }));
            response.body().consume();
        }

        private void take(List<ByteBuffer> some, AsyncBody from) {
            for (ByteBuffer part : some) {
                if (!over) {
                    listen();
                    take(Buffer.buffer(Unpooled.wrappedBuffer(part)));
                }
            }
            if (!over) {
                from.consume();
            }
        }

        private void take(Buffer part) {
            if (!partsTake && kept.length() + part.length() > call.limits.mostBytes()) {
                fail(call.callee.tooLarge(call.limits.mostBytes()));
            } else if (!partsTake) {
                kept.appendBuffer(part);
            } else {
                try {
                    call.parts.get().take(part);
                } catch (CallFailure failure) {
                    fail(failure);
                }
            }
        }

        private void listen() {
            if (silence != total) {
                silence.cancel();
            }
            silence = loop.schedule(call.limits.silence(), () -> fail(call.callee.late()));
        }

        private void fail(CallFailure failure) {
            if (!over) {
                end();
                body.ifPresent(AsyncBody::cancel);
                answer.fail(failure);
            }
        }

        private void end() {
            over = true;
            total.cancel();
            silence.cancel();
            if (started) {
                exchanges.done();
            } else {
                exchanges.withdraw("", this);
            }
        }
    }
}
