package dev.podidentity.agent.http;

import dev.podidentity.agent.loop.SourceRateLimit;
import dev.podidentity.agent.observe.Limit;
import io.vertx.core.Handler;
import io.vertx.core.http.HttpHeaders;
import io.vertx.core.http.HttpServerRequest;
import java.util.Optional;
import java.util.function.LongSupplier;

/**
 * Stands before the routes of one operations listener, whether a route is found or not: limits the requests of each source
 * address, and ends the connections of requests that cannot be handled. Confined to the event loop.
 */
final class OperationsGuard {

    /** A scrape costs milliseconds of the event loop, and a look inside does; Prometheus makes one in some seconds. */
    private static final int SCRAPES_PER_SECOND = 10;
    private static final int SCRAPES_AT_ONCE = 50;
    /** Everything else is cheap. The kubelet asks once in some seconds, and whoever waits for the agent to be ready more often. */
    private static final int REQUESTS_PER_SECOND = 50;
    private static final int REQUESTS_AT_ONCE = 100;
    private static final String SCRAPE = "/metrics";
    /** No SDK asks here; to Prometheus and the kubelet 503 would say that the agent is not ready. */
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
