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
import io.fabric8.kubernetes.client.http.HttpClient;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Executor;
import java.util.regex.Pattern;
import javax.net.ssl.TrustManager;

/**
 * Fetches the signing keys of a configured issuer through its discovery document. The document must name exactly the
 * configured issuer. The fetch trusts {@code AWS_CA_BUNDLE}, or else the platform's certificate authorities, honors
 * {@code HTTPS_PROXY} and {@code NO_PROXY}, follows no redirect and sends no credentials. Confined to the event loop.
 */
public final class IssuerKeys implements KeySource {

    private static final Duration TIMEOUT = Duration.ofSeconds(5);
    private static final Pattern USER_AND_PASSWORD = Pattern.compile("[^:]+:[^:]+");
    private static final Limits LIMITS = new Limits(TIMEOUT, TIMEOUT, 1024 * 1024);

    private final URI issuer;
    private final ProxyEnvironment proxies;
    private final Optional<TrustManager[]> trust;
    private final Callee callee;
    private final HttpCalls calls;

    /**
     * Reads the file named by {@code AWS_CA_BUNDLE}.
     *
     * @param issuer an {@code http} or {@code https} URL
     * @param loop runs tasks on the event loop
     * @param worker runs blocking tasks
     * @throws IllegalArgumentException if an environment variable is unusable; the message says what to do
     */
    public IssuerKeys(
            Vertx vertx, URI issuer, Map<String, String> environment, Loop loop, Executor worker) {
        this.issuer = issuer;
        this.proxies = new ProxyEnvironment(environment);
        this.trust = TrustRoots.ofAwsCaBundle(environment);
        this.callee = new Callee(
                "The issuer " + issuer,
                "check --issuer, and that this node can reach it, through HTTPS_PROXY if there is a proxy",
                "set AWS_CA_BUNDLE if its certificate authority is private");
        this.calls = new HttpCalls(vertx, loop, worker, 1);
        // Checked here so that unusable credentials are reported at startup.
        proxies.proxyFor(issuer).ifPresent(IssuerKeys::requireUsableCredentials);
    }

    @Override
    public Future<PublishedKeys> fetch() {
        URI document = URI.create(issuer.toString().replaceFirst("/+$", "") + Discovery.PATH);
        return get(document, Discovery.ACCEPT)
                .compose(answer -> {
                    try {
                        return get(keysOf(answer), Discovery.ACCEPT_KEYS);
                    } catch (CallFailure failure) {
                        return Future.failedFuture(failure);
                    }
                })
                .map(keys -> new PublishedKeys(issuer.toString(), keys.body().toString(StandardCharsets.UTF_8)));
    }

    private Future<ApiAnswer> get(URI url, String accept) {
        Optional<URI> proxy;
        try {
            proxy = proxies.proxyFor(url);
            proxy.ifPresent(IssuerKeys::requireUsableCredentials);
        } catch (IllegalArgumentException e) {
            return Future.failedFuture(new CallFailure(e.getMessage(), false));
        }
        // The client is not reused: fetches are hours apart, and the keys may be on another host than the document.
        HttpClient.Builder builder = calls.newBuilder();
        trust.ifPresent(roots -> builder.sslContext(null, roots));
        proxy.ifPresent(by -> HttpCalls.through(by, builder));
        HttpClient client = builder.build();
        Call call = new Call(
                () -> Optional.of(client),
                HttpCalls.request(url.toString(), accept, LIMITS).build(),
                proxy.orElse(url).getHost(),
                LIMITS,
                Optional.empty(),
                callee);
        return calls.make(call).onComplete(ended -> client.close()).compose(answer -> answer.ok()
                ? Future.succeededFuture(answer)
                : Future.failedFuture(new CallFailure("The issuer " + issuer + " responds with HTTP " + answer.status()
                        + " to the request for "
                        + (url.getPath().endsWith(Discovery.PATH) ? "its discovery document" : "its keys")
                        + ": check --issuer", false)));
    }

    /**
     * Rejects other credentials, which the library would send to the issuer through the proxy's tunnel as a request header.
     */
    private static void requireUsableCredentials(URI proxy) {
        if (proxy.getUserInfo() != null && !USER_AND_PASSWORD.matcher(proxy.getUserInfo()).matches()) {
            throw new IllegalArgumentException("A user name and password in the URL of a proxy must not be empty or contain a"
                    + " colon: change the proxy's password, or leave both out");
        }
    }

    private URI keysOf(ApiAnswer answer) throws CallFailure {
        var document = answer.json("the issuer's discovery document");
        if (!Discovery.member(document, "issuer").equals(issuer.toString())) {
            throw new CallFailure("The discovery document of the issuer " + issuer
                    + " names another issuer: --issuer must be exactly the iss of the cluster's tokens", false);
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
                + " has a jwks_uri that cannot be used: it must be an https URL", false);
    }
}
