package dev.podidentity.agent.apiserver;

import java.net.URI;
import java.net.URISyntaxException;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;

/**
 * The API server's URL, and the service account that the agent uses there.
 *
 * @param url an {@code http} or {@code https} URL, with a path if the server is behind one
 * @param serviceAccount the directory that contains {@code token} and {@code ca.crt}
 */
public record ApiServerAddress(URI url, Path serviceAccount) {

    private static final int HIGHEST_PORT = 65_535;

    /**
     * @param configured overrides the environment
     * @param environment the variables that Kubernetes sets in every pod: {@code KUBERNETES_SERVICE_HOST}, and
     *     {@code KUBERNETES_SERVICE_PORT_HTTPS} or {@code KUBERNETES_SERVICE_PORT}
     * @throws IllegalArgumentException if neither gives the URL; the message says what to do
     */
    public static ApiServerAddress of(Optional<URI> configured, Path serviceAccount, Map<String, String> environment) {
        return new ApiServerAddress(configured.orElseGet(() -> ofEnvironment(environment)), serviceAccount);
    }

    private static URI ofEnvironment(Map<String, String> environment) {
        String host = variable(environment, "KUBERNETES_SERVICE_HOST").orElseThrow(() -> new IllegalArgumentException(
                "The URL of the API server is unknown, because KUBERNETES_SERVICE_HOST is not set: set --api-server, or run"
                        + " the agent in a pod"));
        String port = variable(environment, "KUBERNETES_SERVICE_PORT_HTTPS")
                .or(() -> variable(environment, "KUBERNETES_SERVICE_PORT"))
                .orElse("443");
        boolean bare = host.contains(":") && !host.startsWith("[");
        String text = "https://" + (bare ? "[" + host + "]" : host) + ":" + port;
        try {
            // The constructor of URI would also accept a URL without a host or a port.
            URI url = URI.create(text).parseServerAuthority();
            if (url.getHost() != null && url.getPort() > 0 && url.getPort() <= HIGHEST_PORT) {
                return url;
            }
        } catch (URISyntaxException | IllegalArgumentException e) {
            throw unusable(text, e);
        }
        throw unusable(text, null);
    }

    private static IllegalArgumentException unusable(String text, Exception cause) {
        return new IllegalArgumentException("KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT do not form a valid URL: \""
                + text + "\"; set --api-server", cause);
    }

    private static Optional<String> variable(Map<String, String> environment, String name) {
        return Optional.ofNullable(environment.get(name)).map(String::strip).filter(value -> !value.isEmpty());
    }

    boolean secure() {
        return url.getScheme().equalsIgnoreCase("https");
    }
}
