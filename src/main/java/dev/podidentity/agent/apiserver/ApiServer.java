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
 * The API server, as far as the agent needs it: single calls, each done or given up after 5 s, and answers that are taken
 * as they come. The calls are made by the HTTP client of the Kubernetes client library. Reads no file and opens no connection
 * before the first call. Confined to the event loop.
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
    private static final Limits SINGLE = new Limits(TIMEOUT, TIMEOUT, LARGEST_BODY);
    private static final String JSON = "application/json";
    /** Reviews of a burst of pods, beside the watch and what is rare. */
    private static final int MOST_CONNECTIONS = 8;

    private final ApiServerAddress address;
    private final String base;
    private final Callee callee;
    private final OwnAccount account;
    private final HttpCalls calls;
    private Optional<Client> client = Optional.empty();
    private boolean closed;

    /**
     * @param loop runs things on the event loop
     * @param worker runs what blocks
     * @param nanos of a monotonic clock, to re-read the token by
     */
    public ApiServer(
            Vertx vertx, ApiServerAddress address, Loop loop, Executor worker, LongSupplier nanos) {
        this.address = address;
        this.base = address.url().toString().replaceFirst("/+$", "");
        this.callee = new Callee(
                "The API server at " + address.url(),
                "check --api-server, and that this node reaches it",
                "check that " + address.serviceAccount().resolve("ca.crt") + " is the certificate authority of this cluster,"
                        + " and that the API server's certificate names the host of this URL");
        this.account = new OwnAccount(address, nanos, loop, worker);
        this.calls = new HttpCalls(vertx, loop, worker, MOST_CONNECTIONS);
    }

    /**
     * Reads something.
     *
     * @param path of the API, with a query if there is one
     * @param accept the media types to answer in
     * @return completes once, on the event loop, within 5 s; fails with a {@link CallFailure} if no whole answer comes
     */
    public Future<ApiAnswer> get(String path, String accept) {
        return call(path, accept, request -> { }, SINGLE, Optional.empty());
    }

    /** Makes something; the same as {@link #get} otherwise. */
    public Future<ApiAnswer> post(String path, JsonObject body) {
        return call(path, JSON, request -> request.method("POST", JSON, body.encode()), SINGLE, Optional.empty());
    }

    /** Changes something; the same as {@link #get} otherwise. */
    public Future<ApiAnswer> patch(String path, String contentType, Buffer body) {
        return call(path, JSON, request -> request.method("PATCH", contentType, body.toString()), SINGLE, Optional.empty());
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
        return call(path, accept, request -> { }, new Limits(total, silence, LARGEST_BODY), Optional.of(parts));
    }

    /** The token of the agent's own service account, a secret; none where plain HTTP needs none. */
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

    /** The client for the authority as it is now. Those whose call is under way when it changes have to ask again. */
    private Optional<HttpClient> client() {
        if (closed) {
            return Optional.empty();
        }
        Optional<Authority> authority = account.latest().flatMap(Account::authority);
        if (client.isEmpty() || !client.get().authority.equals(authority)) {
            HttpClient.Builder builder = calls.newBuilder()
                    .addOrReplaceInterceptor(OwnIdentity.NAME, new OwnIdentity(account, address.secure()));
            // Not the library's Config, which would trust the platform's authorities as well.
            authority.ifPresent(trusted -> builder.sslContext(null, new TrustManager[] {trusted.trust()}));
            client.ifPresent(old -> old.http.close());
            client = Optional.of(new Client(authority, builder.build()));
        }
        return client.map(Client::http);
    }

    /** Ends what is under way, and lets nothing begin. */
    @Override
    public void close() {
        closed = true;
        client.ifPresent(made -> made.http.close());
    }

    private record Client(Optional<Authority> authority, HttpClient http) {}
}
