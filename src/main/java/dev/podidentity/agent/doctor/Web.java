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

/** HTTP calls. */
interface Web {

    /** The time that a call may take. */
    Duration TIMEOUT = Duration.ofSeconds(5);

    /**
     * Makes a call. Blocks, for as long as the call may take at the most.
     *
     * @throws CallFailure if no whole answer comes, with what to do
     */
    ApiAnswer ask(Ask ask) throws CallFailure;

    /**
     * A call.
     *
     * @param headers beside Accept and User-Agent; may hold secrets
     * @param body with the media type in {@code Content-Type} of the headers
     * @param limit the time that it may take
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

        /** Without headers and body, which may hold secrets. */
        @Override
        public String toString() {
            return method + " " + url.getHost() + url.getPath();
        }
    }

    /**
     * How to get there.
     *
     * @param proxy as a URL with scheme, host and port
     * @param trust in place of the platform's authorities
     * @param identity what this side shows
     */
    record Route(Optional<URI> proxy, Optional<TrustManager[]> trust, Optional<PemKeyCertOptions> identity) {

        static final Route DIRECT = new Route(Optional.empty(), Optional.empty(), Optional.empty());

        /** Without what may be secret. */
        @Override
        public String toString() {
            return "Route";
        }
    }
}
