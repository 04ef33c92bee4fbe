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
 * Makes calls with the HTTP client of the Kubernetes client library, each of which ends within its limits and carries the
 * agent's name and version as its User-Agent. Confined to the event loop, which is the library's too.
 */
public final class HttpCalls implements HttpClient.Factory {

    private static final int OK = 200;
    /** What audit logs of the API server show. */
    private static final String USER_AGENT = "eks-pod-identity-agent/" + BuildInfo.current();
    private static final Duration CONNECT_TIMEOUT = Duration.ofSeconds(3);

    private final Vertx vertx;
    private final Loop loop;
    private final Executor worker;
    /** The library's pool has 8,192 connections, which cannot be set. */
    private final FairQueue<Exchange> exchanges;

    /**
     * @param worker runs what blocks
     * @param mostAtOnce how many calls may be under way; the others wait
     */
    public HttpCalls(Vertx vertx, Loop loop, Executor worker, int mostAtOnce) {
        this.vertx = vertx;
        this.loop = loop;
        this.worker = worker;
        this.exchanges = new FairQueue<>(mostAtOnce, (all, exchange) -> exchange.start());
    }

    /**
     * Begins a client on the agent's own Vert.x, with nothing that the library would take from the environment: HTTP/1.1, no
     * proxy, no redirects, and no retries, since whoever calls decides when to ask again.
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

    /** Sends a client's calls through a proxy: a URL with scheme, host and port, and a name and a password or neither. */
    public static void through(URI proxy, HttpClient.Builder builder) {
        builder.proxyType(ProxyType.HTTP).proxyAddress(InetSocketAddress.createUnresolved(proxy.getHost(), proxy.getPort()));
        if (proxy.getUserInfo() != null) {
            byte[] credentials = proxy.getUserInfo().getBytes(StandardCharsets.UTF_8);
            builder.proxyAuthorization("Basic " + Base64.getEncoder().encodeToString(credentials));
        }
    }

    /** Begins a request. */
    public static HttpRequest.Builder request(String url, String accept, Limits limits) {
        return new StandardHttpRequest.Builder()
                .uri(url)
                .header("Accept", accept)
                .header("User-Agent", USER_AGENT)
                // Ends what is not answered at all, on a thread of the library's; afterwards the timers of the call do.
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
     * What to call, and within which limits.
     *
     * @param client is asked for when it is the call's turn; empty if nothing may be called any more
     * @param connectTo the host that connections are made to: the server, or the proxy before it
     * @param parts takes the body of an answer 200 as it comes; such an answer has an empty body then
     */
    public record Call(
            Supplier<Optional<HttpClient>> client,
            HttpRequest request,
            String connectTo,
            Limits limits,
            Optional<Parts> parts,
            Callee callee) {

        /** Without the request, which may hold tokens. */
        @Override
        public String toString() {
            return "Call[" + callee.name() + "]";
        }
    }

    /**
     * @param total from the first moment to the last
     * @param silence between two parts of a body
     * @param mostBytes of a body that is kept
     */
    public record Limits(Duration total, Duration silence, int mostBytes) {

        /** A list may take longer to begin than to go on. */
        private static final Duration LONG_HEAD = Duration.ofSeconds(30);

        /** Until the answer begins. */
        private Duration head() {
            Duration longer = silence.compareTo(LONG_HEAD) > 0 ? silence : LONG_HEAD;
            return total.compareTo(longer) < 0 ? total : longer;
        }
    }

    /** Takes a body part by part. */
    public interface Parts {

        /** The answer has begun, and its status is 200. */
        default void begin() {}

        /** @throws CallFailure if the rest is of no use; the connection is closed then */
        void take(Buffer part) throws CallFailure;
    }

    /** One call under way. */
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
         * Looks the host's name up on the worker, as the platform's resolver blocks. The library looks it up again, on the
         * event loop; the JDK has the answer then, and keeps it for 30 s.
         */
        private Turn start() {
            // What is not foreseen in the task ends with the call's time.
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
