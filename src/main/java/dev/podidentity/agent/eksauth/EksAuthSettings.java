package dev.podidentity.agent.eksauth;

import dev.podidentity.agent.config.Checked;
import dev.podidentity.agent.outbound.ProxyEnvironment;
import dev.podidentity.agent.outbound.TrustRoots;
import java.net.URI;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import javax.net.ssl.TrustManager;

/**
 * How to call EKS Auth, from the configuration and the environment. Created at startup, so that unusable settings are
 * reported then.
 *
 * @param clusterName the EKS cluster
 * @param endpoint the URL to call, if it is not the region's own
 * @param fips whether to call the region's FIPS endpoint
 * @param trust the certificate authorities to trust, if they are not the platform's
 * @param proxies selects the proxy
 * @param attemptTimeout the timeout of one call
 * @param maxConnections the maximum number of calls in flight
 */
record EksAuthSettings(
        String clusterName,
        Optional<URI> endpoint,
        boolean fips,
        Optional<TrustManager[]> trust,
        ProxyEnvironment proxies,
        Duration attemptTimeout,
        int maxConnections) {

    /** @throws IllegalArgumentException if the settings are contradictory or unusable; the message says what to do */
    EksAuthSettings {
        if (fips && endpoint.isPresent()) {
            throw new IllegalArgumentException("--endpoint (or AWS_ENDPOINT_URL) cannot be combined with"
                    + " AWS_USE_FIPS_ENDPOINT=true: remove one of them");
        }
        // Checked for any endpoint, so that a malformed variable is reported at startup.
        endpoint.ifPresentOrElse(proxies::proxyFor, () -> proxies.proxyFor(URI.create("https://eks-auth")));
    }

    private static URI endpoint(String variable, String url) {
        try {
            return new Checked.Endpoint().convert(url);
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException(variable + " " + e.getMessage() + ": \"" + url + '"', e);
        }
    }

    static EksAuthSettings of(
            String clusterName,
            Optional<URI> configuredEndpoint,
            Duration attemptTimeout,
            int maxConnections,
            Map<String, String> environment) {
        Optional<URI> endpoint = configuredEndpoint.or(() -> Stream.of("AWS_ENDPOINT_URL_EKS_AUTH", "AWS_ENDPOINT_URL")
                .filter(name -> environment.get(name) != null && !environment.get(name).isBlank())
                .findFirst()
                .map(name -> endpoint(name, environment.get(name).strip())));
        return new EksAuthSettings(
                clusterName,
                endpoint,
                Boolean.parseBoolean(environment.get("AWS_USE_FIPS_ENDPOINT")),
                TrustRoots.ofAwsCaBundle(environment),
                new ProxyEnvironment(environment),
                attemptTimeout,
                maxConnections);
    }
}
