package dev.podidentity.agent.http;

import dev.podidentity.agent.observe.Health;
import io.vertx.ext.web.Router;
import io.vertx.ext.web.RoutingContext;
import java.util.List;
import java.util.Optional;

/**
 * The probes; the route of {@code /metrics} is Quarkus's. Any response shows that the event loop runs, which is all that
 * liveness means here; nothing on the network is called. Confined to the event loop, except for {@link #addTo} and {@link
 * #watch}.
 */
public final class OperationsRoutes {

    private static final int BAD_REQUEST = 400;
    private static final int MISDIRECTED = StartupProbe.MISDIRECTED;
    private static final int UNAVAILABLE = 503;
    private static final String NAMESPACE = "namespace";

    private volatile Optional<Health> watched = Optional.empty();

    /**
     * Adds the routes. Until {@link #watch} is called, the agent is not ready.
     *
     * @param namespace the process namespace of this agent, if it can be determined
     */
    public void addTo(Router router, Optional<String> namespace) {
        router.get("/healthz").handler(context -> {
            // During an upgrade two agents listen, and the startup probe needs the response of a particular one.
            Optional<String> asked =
                    context.queryParam(NAMESPACE).stream().filter(name -> !name.isEmpty()).findFirst();
            if (asked.isPresent() && namespace.isPresent() && !asked.equals(namespace)) {
                context.response().setStatusCode(MISDIRECTED).end();
            } else {
                answer(context, List.of());
            }
        });
        router.get("/readyz").handler(context ->
                answer(context, watched.map(Health::unready).orElse(List.of("starting"))));
        // Vert.x would log an error with a stack trace for each path that cannot be decoded.
        router.errorHandler(BAD_REQUEST, context -> context.response().setStatusCode(BAD_REQUEST).end());
    }

    /** Sets what readiness depends on. */
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
