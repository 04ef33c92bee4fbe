package dev.podidentity.agent.cluster;

import dev.podidentity.agent.apiserver.ApiAnswer;
import dev.podidentity.agent.apiserver.Callee;
import dev.podidentity.agent.apiserver.HttpCalls;
import dev.podidentity.agent.apiserver.HttpCalls.Call;
import dev.podidentity.agent.apiserver.HttpCalls.Limits;
import dev.podidentity.agent.loop.Loop;
import dev.podidentity.agent.outbound.CallFailure;
import dev.podidentity.agent.outbound.ProxyEnvironment;
import dev.podidentity.agent.outbound.TrustRoots;
import dev.podidentity.agent.verification.KeySource;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.http.HttpClient;
import io.vertx.core.http.HttpClientOptions;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.net.TrustOptions;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Executor;
import javax.net.ssl.TrustManager;

/**
 * The keys of a configured issuer, found by its discovery document. Whoever serves the document must say that it is that
 * issuer, letter by letter. Trusts {@code AWS_CA_BUNDLE} or else the platform's authorities, goes through the proxy of
 * {@code HTTPS_PROXY} and {@code NO_PROXY}, follows no redirect and sends no credentials. Confined to the event loop.
 */
public final class IssuerKeys implements KeySource {

    private static final Duration TIMEOUT = Duration.ofSeconds(5);
    private static final int LARGEST_BODY = 1024 * 1024;

    private final Vertx vertx;
    private final URI issuer;
    private final ProxyEnvironment proxies;
    private final Optional<TrustManager[]> trust;
    private final Callee callee;
    private final HttpCalls calls;

    /**
     * Reads the file of {@code AWS_CA_BUNDLE}.
     *
     * @param issuer an {@code http} or {@code https} URL
     * @param loop runs things on the event loop
     * @param worker runs what blocks
     * @throws IllegalArgumentException if a variable of the environment cannot be used, with what to do
     */
    public IssuerKeys(
            Vertx vertx, URI issuer, Map<String, String> environment, Loop loop, Executor worker) {
        this.vertx = vertx;
        this.issuer = issuer;
        this.proxies = new ProxyEnvironment(environment);
        this.trust = TrustRoots.ofAwsCaBundle(environment);
        this.callee = new Callee(
                "The issuer " + issuer,
                "check --issuer, and that this node reaches it, by HTTPS_PROXY if there is a proxy",
                "set AWS_CA_BUNDLE if its certificate authority is a private one");
        this.calls = new HttpCalls(loop, worker);
        // Found at start, if it cannot be used.
        proxies.proxyFor(issuer);
    }

    @Override
    public Future<PublishedKeys> fetch() {
        // Made anew each time: hours lie between two fetches.
        HttpClientOptions options = HttpCalls.options().setMaxPoolSize(1);
        trust.ifPresent(roots -> options.setTrustOptions(TrustOptions.wrap(roots[0])));
        HttpClient client = vertx.createHttpClient(options);
        URI document = URI.create(issuer.toString().replaceFirst("/+$", "") + Discovery.PATH);
        return get(client, document, Discovery.ACCEPT)
                .compose(answer -> {
                    try {
                        return get(client, keysOf(answer), Discovery.ACCEPT_KEYS);
                    } catch (CallFailure failure) {
                        return Future.failedFuture(failure);
                    }
                })
                .map(keys -> new PublishedKeys(issuer.toString(), keys.body().toString(StandardCharsets.UTF_8)))
                .onComplete(ended -> client.close());
    }

    private Future<ApiAnswer> get(HttpClient client, URI url, String accept) {
        String target = url.getRawPath() + (url.getRawQuery() == null ? "" : '?' + url.getRawQuery());
        Call call = new Call(
                HttpMethod.GET,
                url,
                target.startsWith("/") ? target : '/' + target,
                Map.of("Accept", accept),
                Optional.empty(),
                proxies.proxyFor(url),
                new Limits(TIMEOUT, TIMEOUT, LARGEST_BODY),
                Optional.empty(),
                callee);
        return calls.make(client, call).compose(answer -> answer.ok()
                ? Future.succeededFuture(answer)
                : Future.failedFuture(new CallFailure("The issuer " + issuer + " answers with HTTP " + answer.status()
                        + " where " + (url.getPath().endsWith(Discovery.PATH) ? "its discovery document" : "its keys")
                        + " should be: check --issuer", false)));
    }

    private URI keysOf(ApiAnswer answer) throws CallFailure {
        var document = answer.json("the issuer's discovery document");
        if (!Discovery.member(document, "issuer").equals(issuer.toString())) {
            throw new CallFailure("The discovery document of the issuer " + issuer
                    + " is of another issuer: --issuer must be what the cluster's tokens have as iss, letter by letter", false);
        }
        try {
            URI keys = new URI(Discovery.member(document, "jwks_uri"));
            String scheme = String.valueOf(keys.getScheme());
            boolean secret = scheme.equalsIgnoreCase("https");
            boolean allowed = secret || scheme.equalsIgnoreCase("http") && issuer.getScheme().equalsIgnoreCase("http");
            if (allowed && keys.getHost() != null && keys.getUserInfo() == null) {
                return keys;
            }
        } catch (URISyntaxException e) {
            throw noUrl();
        }
        throw noUrl();
    }

    private CallFailure noUrl() {
        return new CallFailure("The discovery document of the issuer " + issuer
                + " has a jwks_uri that is not to be asked: it must be an https URL", false);
    }
}
