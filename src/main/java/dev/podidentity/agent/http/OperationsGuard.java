package dev.podidentity.agent.http;

import dev.podidentity.agent.loop.SourceRateLimit;
import dev.podidentity.agent.observe.Limit;
import io.vertx.core.Handler;
import io.vertx.core.http.HttpHeaders;
import io.vertx.core.http.HttpServerRequest;
import java.util.Optional;
import java.util.function.LongSupplier;

/**
 * Precedes the routes of one operations listener, whether a route exists or not. Limits the requests of each source address,
 * and closes the connections of requests that cannot be handled. Confined to the event loop.
 */
final class OperationsGuard {

    /**
     * A scrape, like a page of the debug routes, costs milliseconds of the event loop. Prometheus scrapes once every few
     * seconds.
     */
    private static final int SCRAPES_PER_SECOND = 10;
    private static final int SCRAPES_AT_ONCE = 50;
    /**
     * Everything else is cheap. The kubelet probes once every few seconds, and clients that wait for readiness do so more
     * often.
     */
    private static final int REQUESTS_PER_SECOND = 50;
    private static final int REQUESTS_AT_ONCE = 100;
    private static final String SCRAPE = "/metrics";
    /** No SDK calls these ports, and Prometheus and the kubelet would take a 503 to mean that the agent is not ready. */
    private static final int TOO_MANY_REQUESTS = 429;

    private final Handler<HttpServerRequest> routes;
    private final Connections connections;
    private final LongSupplier nanos;
    private final SourceRateLimit requests = new SourceRateLimit(REQUESTS_PER_SECOND, REQUESTS_AT_ONCE);
    private final SourceRateLimit scrapes = new SourceRateLimit(SCRAPES_PER_SECOND, SCRAPES_AT_ONCE);

    /** @param nanos a monotonic clock */
    OperationsGuard(Handler<HttpServerRequest> routes, Connections connections, LongSupplier nanos) {
        this.routes = routes;
        this.connections = connections;
        this.nanos = nanos;
    }

    void handle(HttpServerRequest request) {
        OperationsConnection.of(request.connection())
                .filter(client -> !client.closing())
                .ifPresent(client -> handle(request, client));
    }

    private void handle(HttpServerRequest request, OperationsConnection client) {
        Optional<Throwable> failure = client.failure();
        if (client.lastRequest()) {
            client.lastAnswer();
            request.response().putHeader(HttpHeaders.CONNECTION, HttpHeaders.CLOSE);
        }
        if (!allows(request, client.source())) {
            connections.rejected(Limit.SCRAPES, client.source());
            client.pause();
            request.response().setStatusCode(TOO_MANY_REQUESTS).end();
        } else if (failure.isPresent()) {
            answer(request, ErrorAnswer.ofUnreadable(failure.get()));
        } else if (hasBody(request)) {
            answer(request, ErrorAnswer.BODY);
        } else {
            routes.handle(request);
        }
    }

    private boolean allows(HttpServerRequest request, String source) {
        long now = nanos.getAsLong();
        return requests.allows(source, now) && (!costly(request.path()) || scrapes.allows(source, now));
    }

    private static boolean costly(String path) {
        return SCRAPE.equals(path) || path != null && path.startsWith(DebugRoutes.PATHS);
    }

    private static boolean hasBody(HttpServerRequest request) {
        return RequestGuard.hasBody(
                request.getHeader(HttpHeaders.CONTENT_LENGTH), request.headers().contains(HttpHeaders.TRANSFER_ENCODING));
    }

    private static void answer(HttpServerRequest request, ErrorAnswer error) {
        request.response().setStatusCode(error.status()).end();
    }
}
