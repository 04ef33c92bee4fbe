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
 * Watches the pods of this node: lists them once, and then hears of changes for as long as it can go on from what it
 * knows. Of each pod only the UID is kept. Confined to the event loop.
 *
 * <p>What it does not know lives: before the first list, while the API server is away, and while the agent may not watch.
 * A pod that was seen to be deleted, or to finish, stays gone in every state, unless the API server shows it to live after
 * all; the last 10,000 of them are remembered.
 */
public final class PodWatch implements LivingPods, AutoCloseable {

    private static final Logger LOG = Logger.getLogger(PodWatch.class);

    /** Only metadata where the server can: a tenth of a pod, and none of it secret. */
    private static final String ACCEPT_LIST =
            "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";
    private static final String ACCEPT_EVENTS =
            "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";
    private static final int LARGEST_PAGE = 100;
    /** Far more than a node can run. */
    private static final int MOST_PODS = 10_000;
    private static final Duration PAGE_TIME = Duration.ofSeconds(30);
    private static final Duration PAGE_SILENCE = Duration.ofSeconds(5);
    /** The server ends a watch after 5 to 10 minutes, as clients of Kubernetes ask it to, so that they spread anew. */
    private static final Duration SHORTEST_WATCH = Duration.ofMinutes(5);
    /** Beyond its time, a watch that the server has not ended is broken. */
    private static final Duration WATCH_GRACE = Duration.ofSeconds(30);
    /** Three of the API server's bookmarks, of which one comes a minute. */
    private static final Duration WATCH_SILENCE = Duration.ofMinutes(3);
    /** A watch that cannot go on from its version is accepted with 200 too, and ended by its first event. */
    private static final Duration STANDS_AFTER = Duration.ofSeconds(1);
    /** A watch that lasted this long was a success. */
    private static final Duration LONG_ENOUGH = Duration.ofSeconds(10);
    /** Failures in a row that are worth a warning: a server that restarts makes one or two. */
    private static final int TROUBLE = 3;
    /** For the clocks of several API servers to differ, and for news to be on its way. */
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
     * A time before the list that all is known since, by the API server's clock, which also dates tokens: this node's clock
     * may be wrong, and be corrected later. Empty before the first list, and where the API server does not say its time.
     */
    private Optional<Instant> listedAt = Optional.empty();
    /** What to watch from; empty if the pods have to be listed first. */
    private String version = "";
    private int pageSize = LARGEST_PAGE;
    private State state = State.AWAY;
    /** Whether the version expired, and no watch has stood since. */
    private boolean expired;
    /** Since the last watch that lasted. */
    private int failures;
    /** Failures since the last watch that stood, however short. */
    private int unheard;
    /** Answers 403 since the last watch that stood. */
    private int refusals;
    /** What the log said last, so that it says nothing twice. */
    private Optional<State> said = Optional.empty();
    /** The next attempt. */
    private Optional<Timer> retry = Optional.empty();

    private enum State {
        /** Nothing has been heard yet, or nothing more is heard. */
        AWAY,
        WATCHED,
        /** Nothing is heard, as the agent may not watch. */
        FORBIDDEN,
        CLOSED
    }

    /**
     * @param node the name of this node
     * @param nanos a monotonic clock
     * @param timers of the event loop
     * @param random numbers from 0 to 1
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
     * Begins to watch.
     *
     * @param listener is told the UID of each pod that is gone, on the event loop, after {@link #gone} says so
     */
    public void start(Consumer<String> listener) {
        died = listener;
        resume();
    }

    /** Whether the pods are known and the API server is heard. */
    public boolean synced() {
        return state == State.WATCHED;
    }

    @Override
    public boolean gone(String podUid, Optional<Instant> tokenIssuedAt) {
        if (podUid.isEmpty() || living.contains(podUid)) {
            return false;
        }
        // A pod is there before it has a token: a list that is younger than the token would name it.
        return gone.contains(podUid) || synced() && tokenIssuedAt.map(this::longBeforeTheList).orElse(false);
    }

    private boolean longBeforeTheList(Instant issuedAt) {
        return listedAt.map(list -> issuedAt.isBefore(list.minus(LEEWAY))).orElse(false);
    }

    /** Watches no more. */
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

    /** Lists at once, as the pause before this attempt has spread the nodes; but not if the last list was of no use. */
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
        // The second is for an outage that follows a watch that stood, and was logged, but did not last.
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

    /** One list, page by page. All its pages are of the moment of the first one. */
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
                failed(WatchEnd.BROKEN, "The API server's list of pods is not one");
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
                        "The API server's list of the pods of one node has over " + MOST_PODS + " of them");
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

    /** One watch, and what its events change. */
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
                failed(WatchEnd.ENDED, "The API server ends every watch on pods at once");
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
