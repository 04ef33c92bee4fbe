package dev.podidentity.agent.cluster;

import dev.podidentity.agent.apiserver.ApiAnswer;
import dev.podidentity.agent.apiserver.ApiServer;
import dev.podidentity.agent.loop.RefusalBackoff;
import dev.podidentity.agent.loop.Timers;
import dev.podidentity.agent.observe.Field;
import dev.podidentity.agent.observe.Metrics;
import dev.podidentity.agent.outbound.CallFailure;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.BooleanSupplier;
import java.util.function.DoubleSupplier;
import org.jboss.logging.Logger;

/**
 * Removes a taint from this node once the agent serves credentials, so that no pod is scheduled earlier. It retries until it
 * succeeds; a node that never had the taint needs no change. The taint is not restored when the agent stops serving, because
 * the pods on the node have their credentials by then. Confined to the event loop.
 */
public final class StartupTaint {

    private static final Logger LOG = Logger.getLogger(StartupTaint.class);

    private static final Permission CHANGE_NODE =
            new Permission("take a taint off this node", "apiGroups \"\", resources nodes with the verbs get and patch");
    private static final Duration CHECK_INTERVAL = Duration.ofSeconds(1);
    /** A restarting API server may refuse a call once or twice before it allows it. */
    private static final int EXPECTED_REFUSALS = 2;
    /** Other components change a new node's taints a few times. */
    private static final int EXPECTED_CONFLICTS = 5;

    private static final String JSON = "application/json";
    private static final String JSON_PATCH = "application/json-patch+json";
    private static final String TAINTS = "/spec/taints";
    private static final int NOT_FOUND = 404;
    private static final int CONFLICT = 409;
    private static final int UNPROCESSABLE = 422;

    private final ApiServer api;
    private final String nodeName;
    private final String key;
    private final BooleanSupplier serving;
    private final Metrics metrics;
    private final Timers timers;
    private final DoubleSupplier random;
    private Optional<Timers.Timer> next = Optional.empty();
    private int failures;
    private int refusals;
    private int conflicts;
    private String lastWarning = "";
    private boolean stopped;

    /**
     * @param nodeName this node's name
     * @param key the taint's key; a key that ends in a slash matches all keys that start with it
     * @param serving whether every required listener is bound and the agent has its own AWS credentials
     * @param random returns numbers from 0 to 1, which shorten the backoff so that many nodes spread out
     */
    public StartupTaint(
            ApiServer api,
            String nodeName,
            String key,
            BooleanSupplier serving,
            Metrics metrics,
            Timers timers,
            DoubleSupplier random) {
        this.api = api;
        this.nodeName = nodeName;
        this.key = key;
        this.serving = serving;
        this.metrics = metrics;
        this.timers = timers;
        this.random = random;
    }

    /** Starts to wait until the agent serves, and then retries until the taint is gone or {@link #stop} is called. */
    public void start() {
        metrics.startupTaint(true);
        check();
    }

    /** Stops further attempts; a call in flight may still take effect. */
    public void stop() {
        stopped = true;
        next.ifPresent(Timers.Timer::cancel);
    }

    private void check() {
        if (serving.getAsBoolean()) {
            read();
        } else {
            after(CHECK_INTERVAL);
        }
    }

    private void read() {
        api.get(path(), JSON).onComplete(read -> {
            if (stopped) {
                return;
            }
            if (read.failed()) {
                tryAgain(read.cause().getMessage());
            } else if (read.result().ok()) {
                remove(read.result());
            } else {
                refused(read.result());
            }
        });
    }

    private void remove(ApiAnswer node) {
        JsonArray taints;
        try {
            taints = taints(node);
        } catch (CallFailure failure) {
            tryAgain(failure.getMessage());
            return;
        }
        List<String> ours = new ArrayList<>();
        JsonArray others = new JsonArray();
        for (Object taint : taints) {
            String its = ((JsonObject) taint).getString("key");
            if (matches(its)) {
                ours.add(its);
            } else {
                others.add(taint);
            }
        }
        if (ours.isEmpty()) {
            done();
            LOG.infof("There is no startup taint on this node", Field.of("taint", key));
        } else if (!serving.getAsBoolean()) {
            after(CHECK_INTERVAL);
        } else {
            patch(taints, others, ours);
        }
    }

    /** Returns the node's taints, each of which is an object with a key. */
    private JsonArray taints(ApiAnswer answer) throws CallFailure {
        JsonObject node = answer.json("this node");
        if (!(node.getValue("metadata") instanceof JsonObject metadata) || !nodeName.equals(metadata.getValue("name"))) {
            throw new CallFailure("The API server's response is not this node", false);
        }
        if (!(node.getValue("spec") instanceof JsonObject spec) || spec.getValue("taints") == null) {
            return new JsonArray();
        }
        if (spec.getValue("taints") instanceof JsonArray taints
                && taints.stream().allMatch(taint -> taint instanceof JsonObject one
                        && one.getValue("key") instanceof String)) {
            return taints;
        }
        throw new CallFailure("The API server's list of this node's taints is malformed", false);
    }

    private boolean matches(String its) {
        return key.endsWith("/") ? its.startsWith(key) : its.equals(key);
    }

    /** Changes nothing if another client has changed the taints since they were read. */
    private void patch(JsonArray before, JsonArray others, List<String> ours) {
        JsonArray operations = new JsonArray()
                .add(new JsonObject().put("op", "test").put("path", TAINTS).put("value", before))
                .add(others.isEmpty()
                        ? new JsonObject().put("op", "remove").put("path", TAINTS)
                        : new JsonObject().put("op", "replace").put("path", TAINTS).put("value", others));
        api.patch(path(), JSON_PATCH, operations.toBuffer()).onComplete(patched -> {
            if (patched.failed()) {
                tryAgain(patched.cause().getMessage());
                return;
            }
            ApiAnswer answer = patched.result();
            if (answer.ok()) {
                done();
                LOG.infof("The startup taint was removed from this node", Field.of("taints", String.join(",", ours)));
            } else if (answer.status() == CONFLICT || answer.status() == UNPROCESSABLE) {
                conflict(answer);
            } else {
                refused(answer);
            }
        });
    }

    private void done() {
        next = Optional.empty();
        metrics.startupTaint(false);
    }

    private void refused(ApiAnswer answer) {
        if (answer.status() == NOT_FOUND) {
            tryAgain("The API server has no node of this name (HTTP 404): check that the environment variable NODE_NAME is"
                    + " spec.nodeName of the agent's pod");
        } else if (answer.refused()) {
            refusals++;
            if (refusals > EXPECTED_REFUSALS) {
                warn(CHANGE_NODE.missing(answer).getMessage());
            }
            after(RefusalBackoff.pause(refusals, random.getAsDouble()));
        } else {
            tryAgain(CHANGE_NODE.missing(answer).getMessage());
        }
    }

    private void conflict(ApiAnswer answer) {
        conflicts++;
        if (conflicts > EXPECTED_CONFLICTS) {
            warn("The API server rejects every change: look for what keeps changing this node's taints, or for an admission"
                    + " policy that rejects the agent's changes: \"" + answer.reason() + '"');
        }
        after(pause());
    }

    private void tryAgain(String remedy) {
        warn(remedy);
        after(pause());
    }

    /** Logs each problem once, because it may last. */
    private void warn(String remedy) {
        if (!stopped && !remedy.equals(lastWarning)) {
            lastWarning = remedy;
            LOG.warnf("The startup taint cannot be removed from this node; retrying",
                    Field.of("node", nodeName),
                    Field.of("taint", key),
                    Field.of("remedy", remedy));
        }
    }

    private Duration pause() {
        failures++;
        return ApiServer.PAUSES.pause(failures, random.getAsDouble());
    }

    private void after(Duration pause) {
        if (!stopped) {
            next = Optional.of(timers.schedule(pause, this::check));
        }
    }

    private String path() {
        return "/api/v1/nodes/" + URLEncoder.encode(nodeName, StandardCharsets.UTF_8);
    }
}
