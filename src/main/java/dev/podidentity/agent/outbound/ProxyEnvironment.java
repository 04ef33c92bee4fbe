package dev.podidentity.agent.outbound;

import java.net.URI;
import java.net.URISyntaxException;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * Selects the proxy from the environment: {@code HTTPS_PROXY} (or {@code HTTP_PROXY} for a plain HTTP endpoint), unless
 * {@code NO_PROXY} names the endpoint, each in upper or lower case. The SDK's own parser is not used, because it confuses
 * the scheme of the proxy with that of the endpoint and would ignore {@code HTTPS_PROXY=http://...}.
 */
public final class ProxyEnvironment {

    private static final int HTTP_PORT = 80;
    private static final int HTTPS_PORT = 443;
    private static final int HIGHEST_PORT = 65_535;

    private final Map<String, String> environment;

    public ProxyEnvironment(Map<String, String> environment) {
        this.environment = environment;
    }

    /**
     * Returns the proxy for an endpoint, as a URL with scheme, host and port.
     *
     * @throws IllegalArgumentException if the variable is not the URL of a proxy; the message says what is allowed
     */
    public Optional<URI> proxyFor(URI endpoint) {
        String variable = "https".equalsIgnoreCase(endpoint.getScheme()) ? "HTTPS_PROXY" : "HTTP_PROXY";
        Optional<String> value = variable(variable);
        if (value.isEmpty() || bypassed(endpoint)) {
            return Optional.empty();
        }
        String url = value.get().contains("://") ? value.get() : "http://" + value.get();
        try {
            URI proxy = new URI(url);
            String scheme = String.valueOf(proxy.getScheme()).toLowerCase(Locale.ROOT);
            boolean web = scheme.equals("http") || scheme.equals("https");
            if (proxy.getHost() != null && web && proxy.getPort() <= HIGHEST_PORT) {
                int port = proxy.getPort() > 0 ? proxy.getPort() : scheme.equals("http") ? HTTP_PORT : HTTPS_PORT;
                return Optional.of(new URI(scheme, proxy.getUserInfo(), proxy.getHost(), port, null, null, null));
            }
        } catch (URISyntaxException e) {
            throw notAProxy(variable);
        }
        throw notAProxy(variable);
    }

    private boolean bypassed(URI endpoint) {
        String host = endpoint.getHost().toLowerCase(Locale.ROOT);
        if (host.equals("localhost") || host.startsWith("127.") || host.equals("[::1]")) {
            return true;
        }
        for (String entry : variable("NO_PROXY").orElse("").split(",")) {
            String name = entry.strip().toLowerCase(Locale.ROOT).replaceFirst(":\\d+$", "");
            if (name.startsWith("*.")) {
                name = name.substring(1);
            }
            boolean matches = name.equals("*") || host.equals(name)
                    || (!name.isEmpty() && host.endsWith(name.startsWith(".") ? name : "." + name));
            if (matches) {
                return true;
            }
        }
        return false;
    }

    private Optional<String> variable(String name) {
        return Stream.of(name, name.toLowerCase(Locale.ROOT))
                .map(spelling -> environment.getOrDefault(spelling, "").strip())
                .filter(text -> !text.isEmpty())
                .findFirst();
    }

    /** Omits the value, because the URL of a proxy may contain a password. */
    private static IllegalArgumentException notAProxy(String variable) {
        return new IllegalArgumentException(variable + " must be the URL of a proxy, such as http://proxy.internal:3128");
    }
}
