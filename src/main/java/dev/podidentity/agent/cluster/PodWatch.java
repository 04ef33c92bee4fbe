package dev.podidentity.agent.cluster;

import dev.podidentity.agent.apiserver.ApiAnswer;
import dev.podidentity.agent.apiserver.ApiServer;
import dev.podidentity.agent.loop.Backoff;
import dev.podidentity.agent.loop.BoundedMap;
import dev.podidentity.agent.loop.RefusalBackoff;
import dev.podidentity.agent.loop.Timers;
import dev.podidentity.agent.loop.Timers.Timer;
import dev.podidentity.agent.observe.Field;
import dev.podidentity.agent.observe.Metrics;
import dev.podidentity.agent.observe.WatchEnd;
import dev.podidentity.agent.verification.LivingPods;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.DoubleSupplier;
import java.util.function.LongSupplier;
import org.jboss.logging.Logger;

/**
 * Watches the pods of this node. It lists them once, and then receives changes for as long as it can resume from the last
 * known version. It keeps only the UID of each pod. Confined to the event loop.
 *
 * <p>A pod counts as living unless it is known to be gone: before the first list, while the API server is unreachable, and
 * while the agent lacks the permission to watch. A pod that was seen to be deleted or to finish stays gone in every state,
 * unless the API server later shows it as living; the last 10,000 such pods are remembered.
 */
public final class PodWatch implements LivingPods, AutoCloseable {

    private static final Logger LOG = Logger.getLogger(PodWatch.class);

    /** Requests only metadata if the server supports it: a tenth of a pod's size, and none of it secret. */
    private static final String ACCEPT_LIST =
            "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";
    private static final String ACCEPT_EVENTS =
            "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";
    private static final int LARGEST_PAGE = 100;
    /** Far more than a node can run. */
    private static final int MOST_PODS = 10_000;
    private static final Duration PAGE_TIME = Duration.ofSeconds(30);
    private static final Duration PAGE_SILENCE = Duration.ofSeconds(5);
    /**
     * The server ends a watch after 5 to 10 minutes, as Kubernetes clients usually request, to redistribute the connections.
     */
    private static final Duration SHORTEST_WATCH = Duration.ofMinutes(5);
    /** A watch that the server has not ended this long after its timeout is broken. */
    private static final Duration WATCH_GRACE = Duration.ofSeconds(30);
    /** Three bookmarks of the API server, which sends one per minute. */
    private static final Duration WATCH_SILENCE = Duration.ofMinutes(3);
    /** A watch whose version has expired is also accepted with 200, and ended by its first event. */
    private static final Duration STANDS_AFTER = Duration.ofSeconds(1);
    /** A watch that lasted this long was a success. */
    private static final Duration LONG_ENOUGH = Duration.ofSeconds(10);
    /** Consecutive failures before a warning; a restarting server causes one or two. */
    private static final int TROUBLE = 3;
    /** Allows for clock differences between API servers and for delayed events. */
    private static final Duration LEEWAY = Duration.ofSeconds(60);
    private static final int MOST_GONE = 10_000;
    private static final int OK = 200;
    private static final int UNAUTHORIZED = 401;
    private static final int GONE = 410;
    private static final int TOO_MANY_REQUESTS = 429;
    private static final int SERVER_ERROR = 500;

    private final ApiServer api;
    private final String node;
    private final Metrics metrics;
    private final LongSupplier nanos;
    private final Timers timers;
    private final DoubleSupplier random;
    private final String path;

    private Consumer<String> died = podUid -> { };
    private final Set<String> living = new HashSet<>();
    private final Set<String> gone = Collections.newSetFromMap(new BoundedMap<>(MOST_GONE));
    /**
     * A time before the list from which all pods are known. It is taken from the API server's clock, which also dates
     * tokens, because this node's clock may be wrong and be corrected later. Empty before the first list, and if the API
     * server does not send its time.
     */
    private Optional<Instant> listedAt = Optional.empty();
    /** The version to watch from; empty if the pods must be listed first. */
    private String version = "";
    private int pageSize = LARGEST_PAGE;
    private State state = State.AWAY;
    /** Whether the version expired and no watch has been established since. */
    private boolean expired;
    /** Failures since the last watch that lasted. */
    private int failures;
    /** Failures since the last watch that was established, however short. */
    private int unheard;
    /** 403 responses since the last watch that was established. */
    private int refusals;
    /** The state that was last logged, so that no state is logged twice in a row. */
    private Optional<State> said = Optional.empty();
    private Optional<Timer> retry = Optional.empty();

    private enum State {
        /** No changes are received, either not yet or no longer. */
        AWAY,
        WATCHED,
        /** No changes are received, because the agent lacks the permission to watch. */
        FORBIDDEN,
        CLOSED
    }

    /**
     * @param node the name of this node
     * @param nanos a monotonic clock
     * @param timers schedules tasks on the event loop
     * @param random returns numbers from 0 to 1
     */
    public PodWatch(
            ApiServer api, String node, Metrics metrics, LongSupplier nanos, Timers timers, DoubleSupplier random) {
        this.api = api;
        this.node = node;
        this.metrics = metrics;
        this.nanos = nanos;
        this.timers = timers;
        this.random = random;
        this.path = "/api/v1/pods?fieldSelector=" + URLEncoder.encode(
                "spec.nodeName=" + node + ",status.phase!=Succeeded,status.phase!=Failed", StandardCharsets.UTF_8);
    }

    /**
     * Starts to watch.
     *
     * @param listener receives the UID of each pod that is gone, on the event loop, after {@link #gone} reports it
     */
    public void start(Consumer<String> listener) {
        died = listener;
        resume();
    }

    /** Returns whether the pods are known and changes are being received. */
    public boolean synced() {
        return state == State.WATCHED;
    }

    @Override
    public boolean gone(String podUid, Optional<Instant> tokenIssuedAt) {
        if (podUid.isEmpty() || living.contains(podUid)) {
            return false;
        }
        // A pod exists before its token is issued, so a list that is younger than the token would contain the pod.
        return gone.contains(podUid) || synced() && tokenIssuedAt.map(this::longBeforeTheList).orElse(false);
    }

    private boolean longBeforeTheList(Instant issuedAt) {
        return listedAt.map(list -> issuedAt.isBefore(list.minus(LEEWAY))).orElse(false);
    }

    /** Stops watching. */
    @Override
    public void close() {
        state = State.CLOSED;
        retry.ifPresent(Timer::cancel);
    }

    private void resume() {
        if (version.isEmpty()) {
            new Listing().ask();
        } else {
            new Watching().ask();
        }
    }

    private void refused(ApiAnswer answer) {
        String why = Permission.WATCH_PODS.missing(answer).getMessage();
        if (answer.refused()) {
            forbidden(why);
        } else if (answer.status() == GONE) {
            expired(why);
        } else if (passes(answer.status())) {
            failed(WatchEnd.BROKEN, why);
        } else {
            version = "";
            failed(WatchEnd.EXPIRED, why);
        }
    }

    private static boolean passes(int status) {
        return status == UNAUTHORIZED || status == TOO_MANY_REQUESTS || status >= SERVER_ERROR;
    }

    private void forbidden(String why) {
        refusals++;
        over(WatchEnd.REFUSED, State.FORBIDDEN);
        if (refusals >= TROUBLE && says(State.FORBIDDEN)) {
            LOG.warnf("The agent is not allowed to watch the pods of this node; pods count as running until they are known to"
                    + " be deleted",
                    Field.of("reason", why), Field.of("node", node));
        }
        resumeAfter(RefusalBackoff.pause(refusals, random.getAsDouble()));
    }

    /**
     * Lists again at once, because the backoff before this attempt spread the nodes; waits if the last list did not help.
     */
    private void expired(String why) {
        boolean again = expired;
        expired = true;
        version = "";
        if (again) {
            failed(WatchEnd.EXPIRED, why);
        } else {
            over(WatchEnd.EXPIRED, State.AWAY);
            resume();
        }
    }

    private void failed(WatchEnd end, String why) {
        failures++;
        unheard++;
        over(end, end == WatchEnd.ENDED ? state : State.AWAY);
        // The second condition is for an outage after a watch that was established and logged, but did not last.
        if ((failures == TROUBLE || unheard == TROUBLE) && says(State.AWAY)) {
            LOG.warnf("The pods of this node cannot be watched; pods count as running until they are known to be deleted",
                    Field.of("reason", why), Field.of("node", node));
        }
        resumeAfter(ApiServer.PAUSES.pause(failures, random.getAsDouble()));
    }

    private void over(WatchEnd end, State then) {
        state = then;
        metrics.podWatchEnded(end);
        show();
    }

    private boolean says(State now) {
        boolean news = said.filter(now::equals).isEmpty();
        said = Optional.of(now);
        return news;
    }

    private void resumeAfter(Duration pause) {
        retry = Optional.of(timers.schedule(pause, this::resume));
    }

    private void lives(String podUid) {
        gone.remove(podUid);
        living.add(podUid);
        show();
    }

    private void dies(String podUid) {
        boolean lived = living.remove(podUid);
        boolean news = gone.add(podUid);
        if (lived || news) {
            show();
            died.accept(podUid);
        }
    }

    private void show() {
        metrics.podsWatched(living.size(), synced());
    }

    /** One list, requested page by page. All pages show the state at the time of the first. */
    private final class Listing {

        private final long begun = nanos.getAsLong();
        private final Set<String> found = new HashSet<>();
        private Optional<Instant> at = Optional.empty();
        private String next = "";
        private int asked;

        void ask() {
            asked += pageSize;
            String query = "&limit=" + pageSize
                    + (next.isEmpty() ? "" : "&continue=" + URLEncoder.encode(next, StandardCharsets.UTF_8));
            PodList page = new PodList(node);
            api.stream(path + query, ACCEPT_LIST, PAGE_TIME, PAGE_SILENCE, page).onComplete(listed -> {
                if (state == State.CLOSED) {
                    return;
                }
                if (listed.succeeded() && listed.result().status() == OK) {
                    read(page, listed.result());
                } else if (listed.succeeded()) {
                    refused(listed.result());
                } else if (page.tooLong() && pageSize > 1) {
                    pageSize /= 2;
                    ask();
                } else {
                    failed(WatchEnd.BROKEN, listed.cause().getMessage());
                }
            });
        }

        private void read(PodList page, ApiAnswer answer) {
            if (!page.whole()) {
                failed(WatchEnd.BROKEN, "The API server's list of pods is incomplete");
                return;
            }
            if (next.isEmpty()) {
                at = answer.at().map(now -> now.minusNanos(nanos.getAsLong() - begun));
            }
            found.addAll(page.living());
            next = page.next();
            if (next.isEmpty()) {
                done(page.version());
            } else if (asked < MOST_PODS) {
                ask();
            } else {
                failed(WatchEnd.BROKEN,
                        "The API server's list of the pods of this node has more than " + MOST_PODS + " entries");
            }
        }

        private void done(String from) {
            List<String> missing = living.stream().filter(uid -> !found.contains(uid)).toList();
            listedAt = at;
            version = from;
            pageSize = Math.min(2 * pageSize, LARGEST_PAGE);
            found.forEach(PodWatch.this::lives);
            missing.forEach(PodWatch.this::dies);
            new Watching().ask();
        }
    }

    /** One watch, which applies its events. */
    private final class Watching implements PodEvents.Listener {

        private final PodEvents events = new PodEvents(this);
        private Optional<Long> begun = Optional.empty();
        private Optional<Timer> silence = Optional.empty();

        void ask() {
            Duration time = SHORTEST_WATCH.plusSeconds((long) (random.getAsDouble() * SHORTEST_WATCH.toSeconds()));
            String query = "&watch=true&allowWatchBookmarks=true&resourceVersion="
                    + URLEncoder.encode(version, StandardCharsets.UTF_8) + "&timeoutSeconds=" + time.toSeconds();
            api.stream(path + query, ACCEPT_EVENTS, time.plus(WATCH_GRACE), WATCH_SILENCE, events).onComplete(watched -> {
                silence.ifPresent(Timer::cancel);
                if (state == State.CLOSED) {
                    return;
                }
                if (lasted()) {
                    failures = 0;
                    expired = false;
                }
                if (watched.failed()) {
                    broken(watched.cause().getMessage());
                } else if (watched.result().status() == OK) {
                    ended();
                } else {
                    refused(watched.result());
                }
            });
        }

        private boolean lasted() {
            return begun.map(since -> nanos.getAsLong() - since >= LONG_ENOUGH.toNanos()).orElse(false);
        }

        private void broken(String why) {
            if (events.expired()) {
                expired(why);
            } else if (events.unusable()) {
                version = "";
                failed(WatchEnd.EXPIRED, why);
            } else {
                failed(WatchEnd.BROKEN, why);
            }
        }

        private void ended() {
            if (lasted()) {
                over(WatchEnd.ENDED, state);
                resume();
            } else {
                failed(WatchEnd.ENDED, "The API server ends every watch on pods immediately");
            }
        }

        @Override
        public void begun() {
            begun = Optional.of(nanos.getAsLong());
            silence = Optional.of(timers.schedule(STANDS_AFTER, this::stands));
        }

        private void stands() {
            silence.ifPresent(Timer::cancel);
            if (state == State.CLOSED) {
                return;
            }
            refusals = 0;
            unheard = 0;
            state = State.WATCHED;
            show();
            if (says(State.WATCHED)) {
                LOG.infof("Watching the pods of this node", Field.of("pods", living.size()), Field.of("node", node));
            }
        }

        @Override
        public void seen(SeenPod pod, String at) {
            if (pod.livesOn(node)) {
                lives(pod.uid());
            } else {
                finished(pod);
            }
            reached(at);
        }

        @Override
        public void deleted(SeenPod pod, String at) {
            finished(pod);
            reached(at);
        }

        private void finished(SeenPod pod) {
            if (pod.mayBeOn(node)) {
                dies(pod.uid());
            }
        }

        @Override
        public void bookmark(String at) {
            reached(at);
        }

        private void reached(String at) {
            if (!at.isEmpty()) {
                version = at;
            }
            expired = false;
            stands();
        }
    }
}
