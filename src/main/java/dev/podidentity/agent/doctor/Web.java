package dev.podidentity.agent.doctor;

import dev.podidentity.agent.apiserver.ApiAnswer;
import dev.podidentity.agent.apiserver.Callee;
import dev.podidentity.agent.outbound.CallFailure;
import io.vertx.core.net.PemKeyCertOptions;
import java.net.URI;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import javax.net.ssl.TrustManager;

/** Makes HTTP calls. */
interface Web {

    /** The timeout of a call. */
    Duration TIMEOUT = Duration.ofSeconds(5);

    /**
     * Makes a call. Blocks until the timeout at most.
     *
     * @throws CallFailure if there is no complete response, with what to do
     */
    ApiAnswer ask(Ask ask) throws CallFailure;

    /**
     * A call.
     *
     * @param headers in addition to Accept and User-Agent; may contain secrets
     * @param body its media type is in the header {@code Content-Type}
     * @param limit the timeout
     */
    record Ask(
            String method,
            URI url,
            Map<String, String> headers,
            Optional<String> body,
            Route route,
            Duration limit,
            Callee callee) {

        static Ask get(URI url, Map<String, String> headers, Route route, Callee callee) {
            return new Ask("GET", url, headers, Optional.empty(), route, TIMEOUT, callee);
        }

        /** Omits headers and body, which may contain secrets. */
        @Override
        public String toString() {
            return method + " " + url.getHost() + url.getPath();
        }
    }

    /**
     * The network path of a call.
     *
     * @param proxy as a URL with scheme, host and port
     * @param trust instead of the platform's authorities
     * @param identity the client certificate
     */
    record Route(Optional<URI> proxy, Optional<TrustManager[]> trust, Optional<PemKeyCertOptions> identity) {

        static final Route DIRECT = new Route(Optional.empty(), Optional.empty(), Optional.empty());

        /** Omits what may be secret. */
        @Override
        public String toString() {
            return "Route";
        }
    }
}
