package dev.podidentity.agent.http;

import dev.podidentity.agent.observe.Health;
import io.vertx.ext.web.Router;
import io.vertx.ext.web.RoutingContext;
import java.util.List;
import java.util.Optional;

/**
 * The probes; the route of {@code /metrics} is Quarkus's. Answering at all shows that the event loop runs, which is all that
 * liveness means here; nothing is asked of the network. Confined to the event loop, but for {@link #addTo} and
 * {@link #watch}.
 */
public final class OperationsRoutes {

    private static final int BAD_REQUEST = 400;
    private static final int UNAVAILABLE = 503;

    private volatile Optional<Health> watched = Optional.empty();

    /** Adds the routes; until {@link #watch} the agent is not ready. */
    public void addTo(Router router) {
        router.get("/healthz").handler(context -> answer(context, List.of()));
        router.get("/readyz").handler(context ->
                answer(context, watched.map(Health::unready).orElse(List.of("starting"))));
        // Vert.x would log an error with a stack trace for each path that cannot be decoded.
        router.errorHandler(BAD_REQUEST, context -> context.response().setStatusCode(BAD_REQUEST).end());
    }

    /** Tells what readiness depends on. */
    public void watch(Health health) {
        watched = Optional.of(health);
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
}
