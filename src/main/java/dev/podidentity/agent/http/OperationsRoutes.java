package dev.podidentity.agent.http;

import dev.podidentity.agent.loop.SourceRateLimit;
import dev.podidentity.agent.observe.Health;
import dev.podidentity.agent.observe.Limit;
import dev.podidentity.agent.observe.Metrics;
import io.vertx.ext.web.Router;
import io.vertx.ext.web.RoutingContext;
import java.util.List;
import java.util.Optional;

/**
 * The probes, and a limit in front of {@code /metrics}, whose route is Quarkus's. Answering at all shows that the event
 * loop runs, which is all that liveness means here; nothing is asked of the network. Confined to the event loop, but for
 * {@link #addTo} and {@link #watch}.
 */
public final class OperationsRoutes {

    /** A scrape costs milliseconds of the event loop; Prometheus makes one in some seconds. */
    private static final int SCRAPES_PER_SECOND = 10;
    private static final int SCRAPES_AT_ONCE = 50;
    private static final int BEFORE_THE_SCRAPE = Integer.MIN_VALUE;
    private static final int TOO_MANY_REQUESTS = 429;
    private static final int UNAVAILABLE = 503;

    private final SourceRateLimit scrapes = new SourceRateLimit(SCRAPES_PER_SECOND, SCRAPES_AT_ONCE);
    private volatile Optional<Watched> watched = Optional.empty();

    /** Adds the routes; until {@link #watch} the agent is not ready. */
    public void addTo(Router router) {
        router.route("/metrics").order(BEFORE_THE_SCRAPE).handler(this::limit);
        router.get("/healthz").handler(context -> answer(context, List.of()));
        router.get("/readyz").handler(context ->
                answer(context, watched.map(agent -> agent.health.unready()).orElse(List.of("starting"))));
    }

    /** Tells what readiness depends on, and what counts the scrapes that are turned away. */
    public void watch(Health health, Metrics metrics) {
        watched = Optional.of(new Watched(health, metrics));
    }

    private void limit(RoutingContext context) {
        if (scrapes.allows(context.request().remoteAddress().hostAddress(), System.nanoTime())) {
            context.next();
        } else {
            watched.ifPresent(agent -> agent.metrics.limited(Limit.SCRAPES));
            context.response().setStatusCode(TOO_MANY_REQUESTS).end();
        }
    }

    private static void answer(RoutingContext context, List<String> reasons) {
        context.response().putHeader("Content-Type", "text/plain; charset=utf-8");
        if (reasons.isEmpty()) {
            context.end("ok\n");
        } else {
            context.response().setStatusCode(UNAVAILABLE);
            context.end("not ready: " + String.join(", ", reasons) + '\n');
        }
    }

    private record Watched(Health health, Metrics metrics) {}
}
