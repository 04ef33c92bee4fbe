package dev.podidentity.agent.apiserver;

import dev.podidentity.agent.loop.Loop;
import dev.podidentity.agent.loop.Timers.Timer;
import dev.podidentity.agent.observe.BuildInfo;
import dev.podidentity.agent.outbound.CallFailure;
import io.vertx.core.Future;
import io.vertx.core.Promise;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpClient;
import io.vertx.core.http.HttpClientOptions;
import io.vertx.core.http.HttpClientRequest;
import io.vertx.core.http.HttpClientResponse;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.HttpVersion;
import io.vertx.core.http.RequestOptions;
import io.vertx.core.net.ProxyOptions;
import io.vertx.core.net.SocketAddress;
import java.net.ConnectException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.UnknownHostException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Executor;

/**
 * Makes HTTP/1.1 calls, each of which ends within its limits and carries the agent's name and version as its User-Agent.
 * Follows no redirect. Confined to the event loop; names are looked up on a worker, as the platform's resolver blocks.
 */
public final class HttpCalls {

    private static final int HTTP_PORT = 80;
    private static final int HTTPS_PORT = 443;
    private static final int OK = 200;
    /** What audit logs of the API server show. */
    private static final String USER_AGENT = "eks-pod-identity-agent/" + BuildInfo.current();
    /** Leaves time for another address within the time of a call. */
    private static final Duration CONNECT_TIMEOUT = Duration.ofSeconds(3);

    private final Loop loop;
    private final Executor worker;

    public HttpCalls(Loop loop, Executor worker) {
        this.loop = loop;
        this.worker = worker;
    }

    /** What every client of these calls has in common. */
    public static HttpClientOptions options() {
        return new HttpClientOptions()
                .setProtocolVersion(HttpVersion.HTTP_1_1)
                .setConnectTimeout((int) CONNECT_TIMEOUT.toMillis())
                .setTcpKeepAlive(true);
    }

    /**
     * Makes a call.
     *
     * @return completes once; fails with a {@link CallFailure}
     */
    public Future<ApiAnswer> make(HttpClient client, Call call) {
        Exchange exchange = new Exchange(client, call);
        exchange.start();
        return exchange.answer.future();
    }

    /**
     * What to call, and within which limits.
     *
     * @param base scheme, host and port; its path is not used
     * @param target path and query
     * @param body what to send
     * @param proxy what to go through
     * @param parts takes the body of an answer 200 as it comes; such an answer has an empty body then
     */
    public record Call(
            HttpMethod method,
            URI base,
            String target,
            Map<String, String> headers,
            Optional<Buffer> body,
            Optional<URI> proxy,
            Limits limits,
            Optional<Parts> parts,
            Callee callee) {

        Call with(Map<String, String> otherHeaders) {
            return new Call(method, base, target, otherHeaders, body, proxy, limits, parts, callee);
        }

        /** Without headers and body, which hold tokens, and the proxy, which may hold a password. */
        @Override
        public String toString() {
            return "Call[" + method + ' ' + base + ", " + target + "]";
        }
    }

    /**
     * @param total from the first moment to the last
     * @param silence between two parts of a body
     * @param mostBytes of a body that is kept
     */
    public record Limits(Duration total, Duration silence, int mostBytes) {}

    /** Takes a body part by part. */
    public interface Parts {

        /** The answer has begun, and its status is 200. */
        default void begin() {}

        /** @throws CallFailure if the rest is of no use; the connection is closed then */
        void take(Buffer part) throws CallFailure;
    }

    /** One call under way. */
    private final class Exchange {

        private final HttpClient client;
        private final Call call;
        private final Promise<ApiAnswer> answer = Promise.promise();
        private final Buffer body = Buffer.buffer();
        private Optional<HttpClientRequest> request = Optional.empty();
        private Timer total;
        private Timer silence;
        private boolean over;

        Exchange(HttpClient client, Call call) {
            this.client = client;
            this.call = call;
        }

        void start() {
            total = loop.schedule(call.limits.total(), () -> fail(call.callee.late()));
            silence = total;
            URI next = call.proxy.orElse(call.base);
            // What is not foreseen here ends with the call's time.
            worker.execute(() -> {
                try {
                    List<InetAddress> addresses = List.of(InetAddress.getAllByName(next.getHost()));
                    loop.execute(() -> connect(addresses));
                } catch (UnknownHostException e) {
                    loop.execute(() -> fail(call.callee.of(e)));
                }
            });
        }

        /** Tries one address after the other, as a node may have no route to those of one family. */
        private void connect(List<InetAddress> addresses) {
            if (over) {
                return;
            }
            client.request(options(addresses.get(0))).onComplete(connected -> {
                if (connected.succeeded()) {
                    send(connected.result());
                } else if (addresses.size() > 1 && connected.cause() instanceof ConnectException) {
                    connect(addresses.subList(1, addresses.size()));
                } else {
                    fail(call.callee.of(connected.cause()));
                }
            });
        }

        private RequestOptions options(InetAddress address) {
            boolean secure = secure(call.base);
            RequestOptions options = new RequestOptions()
                    .setMethod(call.method)
                    .setSsl(secure)
                    // What the certificate must be for, and what the Host header says.
                    .setHost(call.base.getHost())
                    .setPort(port(call.base))
                    .setURI(call.target);
            options.putHeader("User-Agent", USER_AGENT);
            call.headers.forEach(options::putHeader);
            if (call.proxy.isEmpty()) {
                return options.setServer(
                        SocketAddress.inetSocketAddress(new InetSocketAddress(address, port(call.base))));
            }
            URI proxy = call.proxy.get();
            ProxyOptions by = new ProxyOptions().setHost(address.getHostAddress()).setPort(port(proxy));
            if (proxy.getUserInfo() != null) {
                String[] user = proxy.getUserInfo().split(":", 2);
                by.setUsername(user[0]).setPassword(user.length > 1 ? user[1] : "");
            }
            return options.setProxyOptions(by);
        }

        private void send(HttpClientRequest connected) {
            // Without a handler Vert.x logs "Stream reset" for a request that is reset before it is sent.
            connected.exceptionHandler(thrown -> fail(call.callee.of(thrown)));
            if (over) {
                connected.reset();
                return;
            }
            request = Optional.of(connected);
            Future<HttpClientResponse> response = call.body.map(connected::send).orElseGet(connected::send);
            response.onSuccess(this::receive).onFailure(thrown -> fail(call.callee.of(thrown)));
        }

        private void receive(HttpClientResponse response) {
            if (over) {
                return;
            }
            listen();
            Optional<Parts> parts = call.parts.filter(given -> response.statusCode() == OK);
            parts.ifPresent(Parts::begin);
            response.exceptionHandler(thrown -> fail(call.callee.of(thrown)));
            response.handler(part -> {
                if (over) {
                    return;
                }
                listen();
                if (parts.isPresent()) {
                    take(parts.get(), part);
                } else if (body.length() + part.length() > call.limits.mostBytes()) {
                    fail(call.callee.tooLarge(call.limits.mostBytes()));
                } else {
                    body.appendBuffer(part);
                }
            });
            response.endHandler(ended -> {
                if (!over) {
                    end();
                    answer.complete(new ApiAnswer(
                            response.statusCode(), body, Optional.ofNullable(response.getHeader("Date"))));
                }
            });
        }

        private void take(Parts parts, Buffer part) {
            try {
                parts.take(part);
            } catch (CallFailure failure) {
                fail(failure);
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
                request.ifPresent(HttpClientRequest::reset);
                answer.fail(failure);
            }
        }

        private void end() {
            over = true;
            total.cancel();
            silence.cancel();
        }
    }

    private static boolean secure(URI url) {
        return url.getScheme().equalsIgnoreCase("https");
    }

    private static int port(URI url) {
        return url.getPort() > 0 ? url.getPort() : secure(url) ? HTTPS_PORT : HTTP_PORT;
    }
}
