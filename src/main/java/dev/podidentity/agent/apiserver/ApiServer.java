package dev.podidentity.agent.apiserver;

import dev.podidentity.agent.apiserver.HttpCalls.Call;
import dev.podidentity.agent.apiserver.HttpCalls.Limits;
import dev.podidentity.agent.apiserver.HttpCalls.Parts;
import dev.podidentity.agent.apiserver.OwnAccount.Account;
import dev.podidentity.agent.apiserver.OwnAccount.Authority;
import dev.podidentity.agent.loop.Backoff;
import dev.podidentity.agent.loop.Loop;
import dev.podidentity.agent.outbound.CallFailure;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpClient;
import io.vertx.core.http.HttpClientOptions;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.json.JsonObject;
import io.vertx.core.net.TrustOptions;
import java.net.URI;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Executor;
import java.util.function.LongSupplier;

/**
 * The API server, as far as the agent needs it: single calls, each done or given up after 5 s, and answers that are taken
 * as they come. Reads no file and opens no connection before the first call. Confined to the event loop.
 *
 * <p>Over HTTPS a call carries the token of the agent's own service account, and the server must show a certificate for
 * its host name or address, of the authority that is mounted beside the token. Over plain HTTP, as {@code kubectl proxy}
 * serves it, no token is sent. Redirects are not followed. The variables {@code HTTPS_PROXY} and {@code NO_PROXY} are not
 * looked at, other than by most clients of Kubernetes: they are set for the way out of the cluster, to EKS Auth.
 */
public final class ApiServer implements AutoCloseable {

    /** The time that a call may take. */
    public static final Duration TIMEOUT = Duration.ofSeconds(5);

    /**
     * The pauses of what goes on until it succeeds. The longest one is the interval at which each node's kubelet renews its
     * lease with the same API server: that bears as much of the agents, and none of them comes much later than it could.
     */
    public static final Backoff PAUSES = new Backoff(Duration.ofSeconds(1), 2, Duration.ofSeconds(10));

    /** Keys and a review have some KiB, and a node with its images some tens. */
    private static final int LARGEST_BODY = 1024 * 1024;
    private static final int UNAUTHORIZED = 401;
    private static final String JSON = "application/json";
    /** Reviews of a burst of pods, beside the watch and what is rare. */
    private static final int MOST_CONNECTIONS = 8;
    /** Below the 90 s after which the API server closes a connection with nothing to do. */
    private static final Duration KEEP_ALIVE = Duration.ofSeconds(30);

    private final Vertx vertx;
    private final ApiServerAddress address;
    private final String prefix;
    private final Callee callee;
    private final HttpCalls calls;
    private final OwnAccount account;
    private Optional<Client> client = Optional.empty();
    private boolean closed;

    /**
     * @param loop runs things on the event loop
     * @param worker runs what blocks
     * @param nanos of a monotonic clock, to re-read the token by
     */
    public ApiServer(
            Vertx vertx, ApiServerAddress address, Loop loop, Executor worker, LongSupplier nanos) {
        this.vertx = vertx;
        this.address = address;
        this.prefix = Optional.ofNullable(address.url().getRawPath()).orElse("").replaceFirst("/+$", "");
        this.callee = new Callee(
                "The API server at " + address.url(),
                "check --api-server, and that this node reaches it",
                "check that " + address.serviceAccount().resolve("ca.crt") + " is the certificate authority of this cluster,"
                        + " and that the API server's certificate names the host of this URL");
        this.calls = new HttpCalls(loop, worker);
        this.account = new OwnAccount(address, nanos, loop, worker);
    }

    /**
     * Reads something.
     *
     * @param path of the API, with a query if there is one
     * @param accept the media types to answer in
     * @return completes once, on the event loop, within 5 s; fails with a {@link CallFailure} if no whole answer comes
     */
    public Future<ApiAnswer> get(String path, String accept) {
        return call(HttpMethod.GET, path, Map.of("Accept", accept), Optional.empty(), single(), Optional.empty());
    }

    /** Makes something; the same as {@link #get} otherwise. */
    public Future<ApiAnswer> post(String path, JsonObject body) {
        return send(HttpMethod.POST, path, JSON, body.toBuffer());
    }

    /** Changes something; the same as {@link #get} otherwise. */
    public Future<ApiAnswer> patch(String path, String contentType, Buffer body) {
        return send(HttpMethod.PATCH, path, contentType, body);
    }

    private Future<ApiAnswer> send(HttpMethod method, String path, String contentType, Buffer body) {
        Map<String, String> headers = Map.of("Accept", JSON, "Content-Type", contentType);
        return call(method, path, headers, Optional.of(body), single(), Optional.empty());
    }

    /**
     * Reads something long.
     *
     * @param total the time until its end
     * @param silence the time between two parts
     * @param parts takes the body, on the event loop, if the status is 200
     * @return completes at the end of the body, which is in the answer only if the status is another
     */
    public Future<ApiAnswer> stream(String path, String accept, Duration total, Duration silence, Parts parts) {
        Limits limits = new Limits(total, silence, LARGEST_BODY);
        return call(HttpMethod.GET, path, Map.of("Accept", accept), Optional.empty(), limits, Optional.of(parts));
    }

    /** The token of the agent's own service account, a secret; none where plain HTTP needs none. */
    public Future<Optional<String>> ownToken() {
        return account.get().map(Account::token);
    }

    public URI url() {
        return address.url();
    }

    private static Limits single() {
        return new Limits(TIMEOUT, TIMEOUT, LARGEST_BODY);
    }

    private Future<ApiAnswer> call(
            HttpMethod method,
            String path,
            Map<String, String> headers,
            Optional<Buffer> body,
            Limits limits,
            Optional<Parts> parts) {
        Call call = new Call(
                method, address.url(), prefix + path, headers, body, Optional.empty(), limits, parts, callee);
        return account.get().compose(own -> call(own, call).compose(answer -> answer.status() == UNAUTHORIZED
                ? account.look().compose(now -> now.token().equals(own.token())
                        ? Future.succeededFuture(answer)
                        : call(now, call))
                : Future.succeededFuture(answer)));
    }

    private Future<ApiAnswer> call(Account own, Call call) {
        if (closed) {
            return Future.failedFuture(callee.closing());
        }
        Map<String, String> headers = new HashMap<>(call.headers());
        if (address.secure()) {
            own.token().ifPresent(token -> headers.put("Authorization", "Bearer " + token));
        }
        return calls.make(client(own.authority()), call.with(headers));
    }

    /** The client for an authority. Those whose call is under way when it changes have to ask again. */
    private HttpClient client(Optional<Authority> authority) {
        if (client.isEmpty() || !client.get().authority.equals(authority)) {
            HttpClientOptions options = HttpCalls.options()
                    .setMaxPoolSize(MOST_CONNECTIONS)
                    .setKeepAliveTimeout((int) KEEP_ALIVE.toSeconds());
            authority.ifPresent(trusted -> options.setTrustOptions(TrustOptions.wrap(trusted.trust())));
            client.ifPresent(old -> old.http.close());
            client = Optional.of(new Client(authority, vertx.createHttpClient(options)));
        }
        return client.get().http;
    }

    /** Ends what is under way, and lets nothing begin. */
    @Override
    public void close() {
        closed = true;
        client.ifPresent(made -> made.http.close());
    }

    private record Client(Optional<Authority> authority, HttpClient http) {}
}
