package dev.podidentity.agent.apiserver;

import dev.podidentity.agent.apiserver.HttpCalls.Call;
import dev.podidentity.agent.apiserver.HttpCalls.Limits;
import dev.podidentity.agent.apiserver.HttpCalls.Parts;
import dev.podidentity.agent.apiserver.OwnAccount.Account;
import dev.podidentity.agent.apiserver.OwnAccount.Authority;
import dev.podidentity.agent.loop.Backoff;
import dev.podidentity.agent.loop.Loop;
import dev.podidentity.agent.outbound.CallFailure;
import io.fabric8.kubernetes.client.http.HttpClient;
import io.fabric8.kubernetes.client.http.HttpRequest;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.json.JsonObject;
import java.net.URI;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.Executor;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import javax.net.ssl.TrustManager;

/**
 * Calls the Kubernetes API server. It offers single calls, which time out after 5 s, and streamed responses. It uses the
 * HTTP client of the Kubernetes client library, and reads no file and opens no connection before the first call. Confined to
 * the event loop.
 *
 * <p>Over HTTPS, each call carries the token of the agent's own service account, and the server must present a certificate
 * for its host name or address, signed by the authority that is mounted beside the token. Over plain HTTP, as
 * {@code kubectl proxy} serves it, no token is sent. Redirects are not followed. Unlike most Kubernetes clients, this one
 * ignores {@code HTTPS_PROXY} and {@code NO_PROXY}: they are set for traffic that leaves the cluster, such as that to EKS
 * Auth.
 */
public final class ApiServer implements AutoCloseable {

    /** The timeout of a single call. */
    public static final Duration TIMEOUT = Duration.ofSeconds(5);

    /**
     * The backoff of work that is retried until it succeeds. Its maximum is the interval at which each node's kubelet renews
     * its lease with the same API server, which can therefore take the same load from the agents.
     */
    public static final Backoff PAUSES = new Backoff(Duration.ofSeconds(1), 2, Duration.ofSeconds(10));

    /** Signing keys and token reviews take a few KiB, and a node with its images some tens of KiB. */
    private static final int LARGEST_BODY = 1024 * 1024;
    private static final Limits SINGLE = new Limits(TIMEOUT, TIMEOUT, LARGEST_BODY);
    private static final String JSON = "application/json";
    /** Enough for the token reviews of a burst of pods, in addition to the watch and rare calls. */
    private static final int MOST_CONNECTIONS = 8;

    private final ApiServerAddress address;
    private final String base;
    private final Callee callee;
    private final OwnAccount account;
    private final HttpCalls calls;
    private Optional<Client> client = Optional.empty();
    private boolean closed;

    /**
     * @param loop runs tasks on the event loop
     * @param worker runs blocking tasks
     * @param nanos a monotonic clock, which decides when the token is read again
     */
    public ApiServer(
            Vertx vertx, ApiServerAddress address, Loop loop, Executor worker, LongSupplier nanos) {
        this.address = address;
        this.base = address.url().toString().replaceFirst("/+$", "");
        this.callee = new Callee(
                "The API server at " + address.url(),
                "check --api-server, and that this node can reach it",
                "check that " + address.serviceAccount().resolve("ca.crt") + " is the certificate authority of this cluster,"
                        + " and that the API server's certificate names the host of this URL");
        this.account = new OwnAccount(address, nanos, loop, worker);
        this.calls = new HttpCalls(vertx, loop, worker, MOST_CONNECTIONS);
    }

    /**
     * Sends a GET request.
     *
     * @param path the path in the API, with a query if there is one
     * @param accept the media types to accept
     * @return completes once, on the event loop, within 5 s; fails with a {@link CallFailure} if no complete response
     *     arrives
     */
    public Future<ApiAnswer> get(String path, String accept) {
        return call(path, accept, request -> { }, SINGLE, Optional.empty());
    }

    /** Sends a POST request; otherwise like {@link #get}. */
    public Future<ApiAnswer> post(String path, JsonObject body) {
        return call(path, JSON, request -> request.method("POST", JSON, body.encode()), SINGLE, Optional.empty());
    }

    /** Sends a PATCH request; otherwise like {@link #get}. */
    public Future<ApiAnswer> patch(String path, String contentType, Buffer body) {
        return call(path, JSON, request -> request.method("PATCH", contentType, body.toString()), SINGLE, Optional.empty());
    }

    /**
     * Sends a GET request whose response is long and is streamed.
     *
     * @param total the timeout of the whole response
     * @param silence the timeout between two parts
     * @param parts receives the body, on the event loop, if the status is 200
     * @return completes at the end of the body; contains the body only if the status is not 200
     */
    public Future<ApiAnswer> stream(String path, String accept, Duration total, Duration silence, Parts parts) {
        return call(path, accept, request -> { }, new Limits(total, silence, LARGEST_BODY), Optional.of(parts));
    }

    /** Returns the token of the agent's own service account, a secret; empty if plain HTTP makes it unnecessary. */
    public Future<Optional<String>> ownToken() {
        return account.get().map(Account::token);
    }

    public URI url() {
        return address.url();
    }

    private Future<ApiAnswer> call(
            String path, String accept, Consumer<HttpRequest.Builder> method, Limits limits, Optional<Parts> parts) {
        return account.get().compose(own -> {
            HttpRequest.Builder request = HttpCalls.request(base + path, accept, limits);
            method.accept(request);
            return calls.make(new Call(this::client, request.build(), address.url().getHost(), limits, parts, callee));
        });
    }

    /** Returns the client for the current authority. Calls in flight when the authority changes fail and must be retried. */
    private Optional<HttpClient> client() {
        if (closed) {
            return Optional.empty();
        }
        Optional<Authority> authority = account.latest().flatMap(Account::authority);
        if (client.isEmpty() || !client.get().authority.equals(authority)) {
            HttpClient.Builder builder = calls.newBuilder()
                    .addOrReplaceInterceptor(OwnIdentity.NAME, new OwnIdentity(account, address.secure()));
            // The library's Config would also trust the platform's certificate authorities.
            authority.ifPresent(trusted -> builder.sslContext(null, new TrustManager[] {trusted.trust()}));
            client.ifPresent(old -> old.http.close());
            client = Optional.of(new Client(authority, builder.build()));
        }
        return client.map(Client::http);
    }

    /** Ends all calls in flight and rejects new ones. */
    @Override
    public void close() {
        closed = true;
        client.ifPresent(made -> made.http.close());
    }

    private record Client(Optional<Authority> authority, HttpClient http) {}
}
