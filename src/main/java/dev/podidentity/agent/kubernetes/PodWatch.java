package dev.podidentity.agent.kubernetes;

import dev.podidentity.agent.loop.Timers;
import dev.podidentity.agent.loop.Timers.Timer;
import dev.podidentity.agent.observe.Field;
import dev.podidentity.agent.observe.Metrics;
import dev.podidentity.agent.observe.WatchEnd;
import dev.podidentity.agent.token.LivingPods;
import dev.podidentity.agent.token.SourceFailure;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.HashSet;
import java.util.Iterator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.DoubleSupplier;
import org.jboss.logging.Logger;

/**
 * Watches the pods of this node: lists them once, and then hears of changes for as long as it can go on from what it
 * knows. Of each pod only the UID is kept. Confined to the event loop.
 *
 * <p>What it does not know lives: before the first list, while the API server is away, and if the agent may not watch. A
 * pod that was deleted, or has finished, is gone for good, as no UID is given twice; the last 10,000 of them are
 * remembered.
 */
public final class PodWatch implements LivingPods, AutoCloseable {

    private static final Logger LOG = Logger.getLogger(PodWatch.class);

    /** Only metadata where the server can: a tenth of a pod, and none of it secret. */
    private static final String ACCEPT_LIST =
            "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";
    private static final String ACCEPT_EVENTS =
            "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";
    private static final int PAGE = 100;
    /** Far more than a node can run. */
    private static final int MOST_PAGES = 100;
    private static final Duration PAGE_TIME = Duration.ofSeconds(30);
    private static final Duration PAGE_SILENCE = Duration.ofSeconds(5);
    /** The server ends a watch after 5 to 10 minutes, as clients of Kubernetes ask it to, so that they spread anew. */
    private static final Duration SHORTEST_WATCH = Duration.ofMinutes(5);
    /** Beyond its time, a watch that the server has not ended is broken. */
    private static final Duration WATCH_GRACE = Duration.ofSeconds(30);
    /** Three of the API server's bookmarks, of which one comes a minute. */
    private static final Duration WATCH_SILENCE = Duration.ofMinutes(3);
    private static final Duration FIRST_PAUSE = Duration.ofSeconds(1);
    private static final Duration LONGEST_PAUSE = Duration.ofSeconds(30);
    /** Of the first pause, until it is over the longest. */
    private static final int MOST_DOUBLINGS = 5;
    private static final Duration FORBIDDEN_PAUSE = Duration.ofMinutes(10);
    /** Failures in a row that are worth a warning: a server that restarts makes one or two. */
    private static final int TROUBLE = 3;
    /** For the clocks of node and API server to differ, and for news to be on its way. */
    private static final Duration LEEWAY = Duration.ofSeconds(60);
    private static final int MOST_GONE = 10_000;
    private static final int OK = 200;
    private static final int TOO_MANY_REQUESTS = 429;
    private static final int SERVER_ERROR = 500;

    private final ApiServer api;
    private final String node;
    private final Metrics metrics;
    private final Clock clock;
    private final Timers timers;
    private final DoubleSupplier random;
    private final String path;

    private Consumer<String> died = podUid -> { };
    private final Set<String> living = new HashSet<>();
    private final Set<String> gone = new LinkedHashSet<>();
    /** When the list began that all is known since; none before the first one. */
    private Optional<Instant> listedAt = Optional.empty();
    /** What to watch from; empty if the pods have to be listed first. */
    private String version = "";
    private State state = State.AWAY;
    private Optional<Instant> heardSince = Optional.empty();
    private int failures;
    /** What the log said last, so that it says nothing twice. */
    private Optional<State> said = Optional.empty();
    private Optional<Timer> retry = Optional.empty();
    private boolean closed;

    private enum State {
        /** Nothing has been heard yet, or nothing more is heard. */
        AWAY,
        WATCHED,
        /** The agent may not watch. */
        FORBIDDEN
    }

    /**
     * @param node the name of this node
     * @param timers of the event loop
     * @param random numbers from 0 to 1
     */
    public PodWatch(ApiServer api, String node, Metrics metrics, Clock clock, Timers timers, DoubleSupplier random) {
        this.api = api;
        this.node = node;
        this.metrics = metrics;
        this.clock = clock;
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
        if (podUid.isEmpty() || state == State.FORBIDDEN || living.contains(podUid)) {
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
        closed = true;
        retry.ifPresent(Timer::cancel);
    }

    private void resume() {
        if (version.isEmpty()) {
            page(clock.instant(), new HashSet<>(), "", 1);
        } else {
            watch();
        }
    }

    private void page(Instant begun, Set<String> found, String from, int number) {
        String query = "&limit=" + PAGE + (from.isEmpty() ? "" : "&continue=" + URLEncoder.encode(from, StandardCharsets.UTF_8));
        PodList list = new PodList(node);
        api.stream(path + query, ACCEPT_LIST, PAGE_TIME, PAGE_SILENCE, list)
                .onSuccess(answer -> {
                    if (answer.status() == OK) {
                        listed(list, begun, found, number);
                    } else {
                        refused(answer);
                    }
                })
                .onFailure(failure -> ended(WatchEnd.BROKEN, failure.getMessage()));
    }

    private void listed(PodList list, Instant begun, Set<String> found, int number) {
        if (closed) {
            return;
        }
        if (!list.whole()) {
            ended(WatchEnd.BROKEN, "The API server's list of pods is not one");
            return;
        }
        found.addAll(list.living());
        if (list.next().isEmpty()) {
            listed(begun, found, list.version());
        } else if (number == MOST_PAGES) {
            ended(WatchEnd.BROKEN, "The API server's list of the pods of one node has over " + MOST_PAGES + " pages");
        } else {
            page(begun, found, list.next(), number + 1);
        }
    }

    private void listed(Instant begun, Set<String> found, String at) {
        List<String> missing = living.stream().filter(uid -> !found.contains(uid)).toList();
        listedAt = Optional.of(begun);
        version = at;
        found.forEach(this::lives);
        missing.forEach(this::dies);
        watch();
    }

    private void watch() {
        if (closed) {
            return;
        }
        Duration time = SHORTEST_WATCH.plusSeconds((long) (random.getAsDouble() * SHORTEST_WATCH.toSeconds()));
        String query = "&watch=true&allowWatchBookmarks=true&resourceVersion="
                + URLEncoder.encode(version, StandardCharsets.UTF_8) + "&timeoutSeconds=" + time.toSeconds();
        api.stream(path + query, ACCEPT_EVENTS, time.plus(WATCH_GRACE), WATCH_SILENCE, new PodEvents(new Watching()))
                .onSuccess(answer -> {
                    if (answer.status() == OK) {
                        ended(WatchEnd.ENDED, "The API server ends every watch on pods at once");
                    } else {
                        refused(answer);
                    }
                })
                .onFailure(failure -> ended(version.isEmpty() ? WatchEnd.EXPIRED : WatchEnd.BROKEN, failure.getMessage()));
    }

    private void refused(ApiAnswer answer) {
        String why = Permission.WATCH_PODS.missing(answer).getMessage();
        if (answer.refused()) {
            forbid(why);
            return;
        }
        boolean passes = answer.status() == TOO_MANY_REQUESTS || answer.status() >= SERVER_ERROR;
        if (!passes) {
            version = "";
        }
        ended(passes ? WatchEnd.BROKEN : WatchEnd.EXPIRED, why);
    }

    private void forbid(String why) {
        if (closed) {
            return;
        }
        state = State.FORBIDDEN;
        // Once it may, it has to list what was missed.
        version = "";
        over(WatchEnd.REFUSED);
        if (says(State.FORBIDDEN)) {
            LOG.warnf("The agent may not watch the pods of this node: --pod-watch is off until it may",
                    Field.of("reason", why), Field.of("node", node));
        }
        resumeAfter(FORBIDDEN_PAUSE.plus(jittered(LONGEST_PAUSE)));
    }

    private void ended(WatchEnd end, String why) {
        if (closed) {
            return;
        }
        boolean wentWell = heardSince
                .map(since -> Duration.between(since, clock.instant()).compareTo(LONGEST_PAUSE) >= 0)
                .orElse(false);
        if (state == State.WATCHED && end != WatchEnd.ENDED) {
            state = State.AWAY;
        }
        over(end);
        if (wentWell && end == WatchEnd.ENDED) {
            failures = 0;
            resume();
            return;
        }
        failures = wentWell ? 1 : failures + 1;
        if (failures == TROUBLE && says(State.AWAY)) {
            LOG.warnf("The pods of this node cannot be watched: those that are not known to be gone live",
                    Field.of("reason", why), Field.of("node", node));
        }
        long pause = FIRST_PAUSE.toMillis() << Math.min(failures - 1, MOST_DOUBLINGS);
        resumeAfter(jittered(Duration.ofMillis(Math.min(pause, LONGEST_PAUSE.toMillis()))));
    }

    private void over(WatchEnd end) {
        heardSince = Optional.empty();
        metrics.podWatchEnded(end);
        show();
    }

    private boolean says(State now) {
        boolean news = said.filter(now::equals).isEmpty();
        said = Optional.of(now);
        return news;
    }

    /** Half to the whole of a pause, so that the nodes of a cluster do not all come back at once. */
    private Duration jittered(Duration pause) {
        return Duration.ofMillis((long) (pause.toMillis() * (1 + random.getAsDouble()) / 2));
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
        if (!gone.add(podUid) && !lived) {
            return;
        }
        if (gone.size() > MOST_GONE) {
            Iterator<String> oldest = gone.iterator();
            oldest.next();
            oldest.remove();
        }
        show();
        died.accept(podUid);
    }

    private void show() {
        metrics.podsWatched(living.size(), synced());
    }

    /** What the events of a watch change. */
    private final class Watching implements PodEvents.Listener {

        @Override
        public void begun() {
            state = State.WATCHED;
            heardSince = Optional.of(clock.instant());
            show();
            if (says(State.WATCHED)) {
                LOG.infof("The pods of this node are watched", Field.of("pods", living.size()), Field.of("node", node));
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
        }

        @Override
        public void failed() {
            version = "";
        }
    }
}
