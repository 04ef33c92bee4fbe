package dev.podidentity.agent.cluster;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.apiserver.ApiAnswer;
import dev.podidentity.agent.apiserver.ApiServer;
import dev.podidentity.agent.loop.RefusalBackoff;
import dev.podidentity.agent.loop.Timers.Timer;
import dev.podidentity.agent.observe.BuildInfo;
import dev.podidentity.agent.observe.Metrics;
import dev.podidentity.agent.testing.FakeTime;
import dev.podidentity.agent.testing.KeptLog;
import dev.podidentity.agent.testing.LoopFixture;
import dev.podidentity.agent.testing.ScriptedServer;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.http.HttpServerResponse;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Tests the watch against a scripted API server. */
class PodWatchTest {

    private static final Duration SECOND = Duration.ofSeconds(1);
    private static final Duration LONGEST_PAUSE = Duration.ofSeconds(10);
    private static final Duration WATCH_SILENCE = Duration.ofMinutes(3);

    @TempDir
    private Path account;

    private final LoopFixture fixture = new LoopFixture();
    private final ScriptedServer server = new ScriptedServer();
    private final SimpleMeterRegistry registry = new SimpleMeterRegistry();
    private final List<String> died = new CopyOnWriteArrayList<>();
    /** The responses to lists and watches. The last response is repeated. */
    private final List<Consumer<HttpServerRequest>> lists = new CopyOnWriteArrayList<>();
    private final List<Consumer<HttpServerRequest>> watches = new CopyOnWriteArrayList<>();
    private final List<HttpServerResponse> watching = new CopyOnWriteArrayList<>();
    private final List<Duration> pauses = new CopyOnWriteArrayList<>();
    private volatile double random;
    /** The time on the API server's clock. */
    private volatile Instant serverTime = FakeTime.START;
    private final ApiServer api = fixture.api(server.url());
    private final PodWatch watch = new PodWatch(
            api,
            "node-1",
            new Metrics(registry, new BuildInfo("test"), fixture.time.clock()),
            fixture.time.nanos(),
            this::schedule,
            () -> random);

    @RegisterExtension
    private final KeptLog log = new KeptLog(PodWatch.class);

    PodWatchTest() {
        server.answer(request -> next(request.getParam("watch") == null ? lists : watches).accept(request));
        watches.add(this::hold);
    }

    @AfterEach
    void close() {
        fixture.run(watch::close);
        fixture.close();
        server.close();
    }

    /** Records the delay of each timer, and removes it again if the timer is cancelled. */
    private Timer schedule(Duration delay, Runnable task) {
        pauses.add(delay);
        Timer timer = fixture.time.schedule(delay, task);
        AtomicBoolean cancelled = new AtomicBoolean();
        return () -> {
            timer.cancel();
            if (!cancelled.getAndSet(true)) {
                pauses.remove(pauses.lastIndexOf(delay));
            }
        };
    }

    private static Consumer<HttpServerRequest> next(List<Consumer<HttpServerRequest>> script) {
        return script.size() > 1 ? script.remove(0) : script.get(0);
    }

    /** Keeps a watch open and sends a bookmark immediately. */
    private void hold(HttpServerRequest request) {
        watching.add(request.response());
        request.response().setChunked(true).write("{\"type\":\"BOOKMARK\",\"object\":{}}\n");
    }

    /** Keeps a watch open without sending anything but headers. */
    private void holdInSilence(HttpServerRequest request) {
        watching.add(request.response());
        // Makes the server send the headers.
        request.response().setChunked(true).write("\n");
    }

    private static Consumer<HttpServerRequest> status(int status) {
        return request -> request.response().setStatusCode(status).end("{\"kind\":\"Status\",\"code\":" + status + "}");
    }

    private Consumer<HttpServerRequest> list(String version, String... uids) {
        return answer(page(version, "", uids));
    }

    private Consumer<HttpServerRequest> answer(JsonObject page) {
        return request -> request.response()
                .putHeader("Date", DateTimeFormatter.RFC_1123_DATE_TIME.format(serverTime.atOffset(ZoneOffset.UTC)))
                .end(page.encode());
    }

    private static JsonObject page(String version, String next, String... uids) {
        JsonArray items = new JsonArray();
        Stream.of(uids).forEach(uid -> items.add(pod(uid, version)));
        return new JsonObject()
                .put("kind", "PartialObjectMetadataList")
                .put("metadata", new JsonObject().put("resourceVersion", version).put("continue", next))
                .put("items", items);
    }

    private static JsonObject pod(String uid, String version) {
        return new JsonObject()
                .put("kind", "PartialObjectMetadata")
                .put("metadata", new JsonObject()
                        .put("name", uid)
                        .put("uid", uid)
                        .put("labels", new JsonObject().put("uid", "not-a-uid").put("/metadata/uid", "neither"))
                        .put("ownerReferences", new JsonArray().add(new JsonObject().put("uid", "owner")))
                        .put("resourceVersion", version));
    }

    private static String event(String type, String uid, String version) {
        return new JsonObject().put("type", type).put("object", pod(uid, version)).encode() + '\n';
    }

    private void start() {
        fixture.run(() -> watch.start(died::add));
    }

    private void startSynced(String... uids) {
        lists.add(list("100", uids));
        start();
        untilWatching(1);
    }

    private void untilWatching(int times) {
        fixture.until(() -> watching.size() == times && watch.synced());
    }

    private void send(String text) {
        watching.get(watching.size() - 1).write(text);
    }

    private boolean gone(String uid) {
        return gone(uid, fixture.call(fixture.time::now));
    }

    private boolean gone(String uid, Instant issuedAt) {
        return fixture.call(() -> watch.gone(uid, Optional.of(issuedAt)));
    }

    private List<String> requests(String kind) {
        return server.received().stream()
                .filter(request -> (request.getParam("watch") == null) == kind.equals("list"))
                .map(HttpServerRequest::uri)
                .toList();
    }

    private double ends(String cause) {
        return registry.get("pod_identity_pod_watch_ends").tag("cause", cause).counter().count();
    }

    @Test
    void asksForTheMetadataOfLivingPodsOfItsNode() {
        random = 1;
        startSynced("a");

        HttpServerRequest list = server.received().get(0);
        assertThat(URLDecoder.decode(list.uri(), StandardCharsets.UTF_8)).isEqualTo(
                "/api/v1/pods?fieldSelector=spec.nodeName=node-1,status.phase!=Succeeded,status.phase!=Failed&limit=100");
        assertThat(list.getHeader("Accept"))
                .isEqualTo("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json");
        HttpServerRequest events = server.received().get(1);
        assertThat(URLDecoder.decode(events.uri(), StandardCharsets.UTF_8)).isEqualTo(
                "/api/v1/pods?fieldSelector=spec.nodeName=node-1,status.phase!=Succeeded,status.phase!=Failed"
                        + "&watch=true&allowWatchBookmarks=true&resourceVersion=100&timeoutSeconds=600");
        assertThat(events.getHeader("Accept"))
                .isEqualTo("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json");
    }

    @Test
    void letsEveryPodLiveBeforeItKnowsThem() {
        assertThat(gone("unknown", Instant.EPOCH)).isFalse();
    }

    @Test
    void knowsNothingOfAPodWithoutUid() {
        startSynced("a");

        assertThat(gone("", Instant.EPOCH)).isFalse();
    }

    @Test
    void tellsOfADeletedPodOnce() {
        // Given
        startSynced("a", "b");

        // When
        send(event("DELETED", "a", "101") + event("DELETED", "a", "102") + event("ADDED", "c", "103")
                + event("MODIFIED", "d", "104"));

        // Then
        fixture.until(() -> registry.get("pod_identity_pods").gauge().value() == 3);
        assertThat(died).containsExactly("a");
        assertThat(gone("a")).isTrue();
        assertThat(fixture.<Boolean>call(() -> watch.gone("a", Optional.empty()))).isTrue();
        assertThat(gone("b", Instant.EPOCH)).isFalse();
        assertThat(gone("c", Instant.EPOCH)).isFalse();
        assertThat(registry.get("pod_identity_pods_synced").gauge().value()).isEqualTo(1);
    }

    @Test
    void takesAnUnknownPodForGoneOnlyIfItsTokenIsLongOlderThanTheList() {
        // Given
        startSynced("a");
        Instant listed = fixture.call(fixture.time::now);

        // Then
        assertThat(gone("unknown", listed.minusSeconds(60))).isFalse();
        assertThat(gone("unknown", listed.minusSeconds(61))).isTrue();
        assertThat(fixture.<Boolean>call(() -> watch.gone("unknown", Optional.empty()))).isFalse();
    }

    @Test
    void letsUnknownPodsLiveWhileTheApiServerIsAway() {
        // Given
        startSynced("a");
        send(event("DELETED", "a", "101"));
        fixture.until(() -> died.size() == 1);

        // When
        server.received().get(1).connection().close();
        fixture.until(() -> !watch.synced());

        // Then
        assertThat(gone("unknown", Instant.EPOCH)).isFalse();
        assertThat(gone("a")).isTrue();
        assertThat(ends("broken")).isEqualTo(1);
    }

    @Test
    void readsAllPagesOfAList() {
        // Given
        lists.add(answer(page("100", "to page 2?&", "a")));
        lists.add(answer(page("100", "page-3", "b")));
        lists.add(list("100", "c"));

        // When
        start();
        untilWatching(1);

        // Then
        assertThat(requests("list")).satisfiesExactly(
                first -> assertThat(first).endsWith("&limit=100"),
                second -> assertThat(second).endsWith("&limit=100&continue=to+page+2%3F%26"),
                third -> assertThat(third).endsWith("&limit=100&continue=page-3"));
        assertThat(Stream.of("a", "b", "c").filter(uid -> gone(uid, Instant.EPOCH))).isEmpty();
        assertThat(gone("d", Instant.EPOCH)).isTrue();
    }

    @Test
    void endsAListThatHasNoEnd() {
        lists.add(answer(page("100", "more", "a")));

        start();

        fixture.until(() -> ends("broken") == 1);
        assertThat(requests("list")).hasSize(100);
        assertThat(fixture.<Boolean>call(watch::synced)).isFalse();
    }

    @Test
    void listsAnewWhenAPageHasExpired() {
        lists.add(answer(page("100", "late", "a")));
        lists.add(status(410));
        lists.add(list("200", "b"));

        start();

        untilWatching(1);
        assertThat(pauses).isEmpty();
        assertThat(ends("expired")).isEqualTo(1);
        assertThat(gone("b", Instant.EPOCH)).isFalse();
        assertThat(gone("a", Instant.EPOCH)).isTrue();
    }

    @Test
    void readsEventsThatAreCutAnywhere() {
        // Given
        startSynced("a", "é");
        byte[] events = (event("DELETED", "a", "101") + event("DELETED", "é", "102")).getBytes(StandardCharsets.UTF_8);

        // When
        HttpServerResponse response = watching.get(0);
        for (byte one : events) {
            response.write(Buffer.buffer(new byte[] {one}));
        }

        // Then
        fixture.until(() -> died.size() == 2);
        assertThat(died).containsExactly("a", "é");
    }

    @Test
    void resumesFromTheLastEventWhenTheConnectionBreaks() {
        // Given
        startSynced("a");
        send(event("ADDED", "b", "101") + "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"150\"}}}\n"
                + event("ADDED", "c", ""));
        fixture.until(() -> registry.get("pod_identity_pods").gauge().value() == 3);

        // When
        send("{\"type\":\"DELETED\",\"object\":{\"metadata\":{\"uid\":\"a\",\"resourceVersion\":\"151\"}");
        server.received().get(1).connection().close();
        fixture.until(() -> !watch.synced());
        fixture.advance(SECOND);

        // Then
        untilWatching(2);
        assertThat(requests("list")).hasSize(1);
        assertThat(requests("watch").get(1)).contains("&resourceVersion=150&");
        assertThat(died).isEmpty();
    }

    @Test
    void watchesOnAtOnceWhenTheServerEndsTheWatchInItsTime() {
        // Given
        startSynced("a");
        fixture.advance(Duration.ofSeconds(100));

        // When
        watching.get(0).end();

        // Then
        untilWatching(2);
        assertThat(requests("list")).hasSize(1);
        assertThat(ends("ended")).isEqualTo(1);
        assertThat(ends("broken")).isZero();
    }

    @Test
    void pausesWhenTheServerEndsEachWatchAtOnce() {
        // Given
        startSynced("a");
        watches.add(0, request -> request.response().end());

        // When
        watching.get(0).end();
        fixture.until(() -> ends("ended") == 1);

        // Then
        assertThat(requests("watch")).hasSize(1);
        fixture.advance(SECOND);
        fixture.until(() -> ends("ended") == 2);
        assertThat(requests("watch")).hasSize(2);
        assertThat(pauses).containsExactly(SECOND, SECOND.multipliedBy(2));
    }

    @Test
    void givesUpAWatchThatFallsSilent() {
        // Given
        startSynced("a");

        // When
        fixture.advance(WATCH_SILENCE.minusMillis(1));
        assertThat(fixture.<Boolean>call(watch::synced)).isTrue();
        fixture.advance(Duration.ofMillis(1));

        // Then
        fixture.until(() -> !watch.synced());
        fixture.advance(SECOND);
        untilWatching(2);
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":500,\"reason\":\"InternalError\"}}\n",
        "{\"type\":\"ERROR\"}\n",
        "{\"type\":\"SOMETHING\",\"object\":{}}\n",
        "{}\n",
        "garbage\n",
        "{\"type\":]"})
    void listsAnewAfterWhatItCannotGoOnFrom(String line) {
        // Given
        lists.add(list("100", "a", "b"));
        lists.add(list("200", "b", "c"));
        start();
        untilWatching(1);

        // When
        send(line);
        fixture.until(() -> ends("expired") == 1);
        assertThat(fixture.<Boolean>call(watch::synced)).isFalse();
        fixture.advance(SECOND);

        // Then
        untilWatching(2);
        assertThat(died).containsExactly("a");
        assertThat(gone("a")).isTrue();
        assertThat(requests("watch").get(1)).contains("&resourceVersion=200&");
    }

    static Stream<Consumer<PodWatchTest>> expiries() {
        return Stream.of(
                test -> test.watches.add(0, status(410)),
                test -> test.watches.add(0, events(
                        "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410,\"reason\":\"Gone\"}}\n")),
                test -> test.watches.add(0, events(
                        "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"reason\":\"Expired\"}}\n")));
    }

    /** Sends these events and keeps the watch open. */
    private static Consumer<HttpServerRequest> events(String lines) {
        return request -> request.response().setChunked(true).write(lines);
    }

    @ParameterizedTest
    @MethodSource("expiries")
    void listsAtOnceWhenTheApiServerNoLongerKnowsItsVersion(Consumer<PodWatchTest> expire) {
        // Given
        lists.add(list("100", "a", "b"));
        lists.add(list("200", "b", "c"));
        start();
        untilWatching(1);
        expire.accept(this);

        // When
        server.received().get(1).connection().close();
        fixture.until(() -> !watch.synced());
        fixture.advance(SECOND);

        // Then
        untilWatching(2);
        assertThat(pauses).containsExactly(SECOND);
        assertThat(died).containsExactly("a");
        assertThat(requests("watch").get(2)).contains("&resourceVersion=200&");
        assertThat(ends("expired")).isEqualTo(1);
    }

    @ParameterizedTest
    @MethodSource("expiries")
    void pausesWhenTheNewVersionIsNotKnownEither(Consumer<PodWatchTest> expire) {
        // Given
        expire.accept(this);
        expire.accept(this);
        expire.accept(this);
        lists.add(list("100", "a"));

        // When
        start();

        // Then
        fixture.until(() -> ends("expired") == 2);
        assertThat(requests("list")).hasSize(2);
        assertThat(pauses).containsExactly(SECOND);
        fixture.advance(SECOND);
        fixture.until(() -> ends("expired") == 3);
        assertThat(pauses).containsExactly(SECOND, SECOND.multipliedBy(2));
        fixture.advance(SECOND.multipliedBy(2));
        untilWatching(1);
        assertThat(requests("list")).hasSize(4);
    }

    @Test
    void isNotSyncedByAWatchThatEndsWithItsFirstEvent() {
        // Given
        watches.add(0, events("{\"type\":\"ERROR\",\"object\":{\"code\":410}}\n"));
        watches.add(0, events("{\"type\":\"ERROR\",\"object\":{\"code\":410}}\n"));
        lists.add(list("100", "a"));

        // When
        start();
        fixture.until(() -> ends("expired") == 2);

        // Then
        assertThat(fixture.<Boolean>call(watch::synced)).isFalse();
        assertThat(log.lines()).isEmpty();
        fixture.advance(Duration.ofMillis(999));
        assertThat(fixture.<Boolean>call(watch::synced)).isFalse();
    }

    @Test
    void isSyncedByAWatchThatHasStoodForASecond() {
        // Given
        watches.add(0, this::holdInSilence);
        lists.add(list("100", "a"));
        start();
        fixture.until(() -> pauses.size() == 1);

        // When
        fixture.advance(SECOND.minusMillis(1));
        assertThat(fixture.<Boolean>call(watch::synced)).isFalse();
        assertThat(registry.get("pod_identity_pods_synced").gauge().value()).isZero();
        assertThat(gone("unknown", Instant.EPOCH)).isFalse();
        assertThat(log.lines()).isEmpty();
        fixture.advance(Duration.ofMillis(1));

        // Then
        assertThat(fixture.<Boolean>call(watch::synced)).isTrue();
        assertThat(registry.get("pod_identity_pods_synced").gauge().value()).isEqualTo(1);
        assertThat(gone("unknown", Instant.EPOCH)).isTrue();
        assertThat(log.lines()).containsExactly("INFO Watching the pods of this node");
    }

    @ParameterizedTest
    @ValueSource(strings = {"-PT2H", "PT0S", "PT2H"})
    void comparesTokensWithTheListByTheClockThatDatesBoth(Duration ahead) {
        // Given
        serverTime = FakeTime.START.plus(ahead);

        // When: the node's clock differs from the server's clock
        startSynced("a");
        fixture.advance(Duration.ofSeconds(100));

        // Then
        assertThat(gone("young", serverTime)).isFalse();
        assertThat(gone("young", serverTime.minusSeconds(60))).isFalse();
        assertThat(gone("old", serverTime.minusSeconds(61))).isTrue();
    }

    @Test
    void datesTheListBackToItsBegin() {
        // Given
        lists.add(request -> watching.add(request.response()));
        start();
        fixture.until(() -> watching.size() == 1);
        fixture.advance(Duration.ofSeconds(20));

        // When: the Date header shows when the list ended
        serverTime = FakeTime.START.plusSeconds(20);
        HttpServerResponse list = watching.remove(0);
        list.putHeader("Date", DateTimeFormatter.RFC_1123_DATE_TIME.format(serverTime.atOffset(ZoneOffset.UTC)))
                .end(page("100", "", "a").encode());
        untilWatching(1);

        // Then
        assertThat(gone("young", FakeTime.START.minusSeconds(60))).isFalse();
        assertThat(gone("old", FakeTime.START.minusSeconds(61))).isTrue();
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "yesterday"})
    void letsUnknownPodsLiveIfTheApiServerDoesNotSayItsTime(String date) {
        lists.add(request -> {
            if (!date.isEmpty()) {
                request.response().putHeader("Date", date);
            }
            request.response().end(page("100", "", "a").encode());
        });

        start();
        untilWatching(1);

        assertThat(gone("unknown", Instant.EPOCH)).isFalse();
    }

    @Test
    void endsAnEventThatHasNoEnd() {
        // Given
        startSynced("a");

        // When
        String text = "x".repeat(64 * 1024);
        send("{\"type\":\"ADDED\",\"object\":{");
        IntStream.range(0, 256).forEach(i -> send("\"annotation-" + i + "\":\"" + text + "\","));

        // Then
        fixture.until(() -> ends("expired") == 1);
    }

    @ParameterizedTest
    @CsvSource({"400, expired, list", "404, expired, list", "401, broken, watch", "500, broken, watch", "503, broken, watch",
        "429, broken, watch"})
    void listsAnewUnlessTheTroublePasses(int status, String cause, String then) {
        // Given
        watches.add(0, status(status));
        lists.add(list("100", "a"));
        start();
        fixture.until(() -> ends(cause) == 1);
        int before = requests(then).size();

        // When
        fixture.advance(SECOND);

        // Then
        untilWatching(1);
        assertThat(requests(then)).hasSize(before + 1);
        assertThat(requests("list")).hasSize(then.equals("list") ? 2 : 1);
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "", "[]", "{}", "null", "garbage", "{\"items\":[", "{\"metadata\":{\"resourceVersion\":\"1\"}}{}",
        "{\"metadata\":[1,2],\"items\":{\"a\":{\"metadata\":7}}}"})
    void refusesAListThatIsNone(String body) {
        lists.add(request -> request.response().end(body));
        lists.add(list("100", "a"));
        start();
        fixture.until(() -> ends("broken") == 1);
        assertThat(fixture.<Boolean>call(watch::synced)).isFalse();

        fixture.advance(SECOND);

        untilWatching(1);
    }

    @Test
    void refusesAListThatIsCutOff() {
        lists.add(request -> {
            request.response().setChunked(true).write(page("100", "", "a").encode());
            request.connection().close();
        });
        start();

        fixture.until(() -> ends("broken") == 1);

        assertThat(fixture.<Boolean>call(watch::synced)).isFalse();
    }

    /** Lists as many pods as requested, each with 1 MiB of labels. */
    private void largePods(HttpServerRequest request) {
        int from = Integer.parseInt(Optional.ofNullable(request.getParam("continue")).orElse("0"));
        int to = Math.min(30, from + Integer.parseInt(request.getParam("limit")));
        HttpServerResponse response = request.response().setChunked(true);
        response.write("{\"metadata\":{\"resourceVersion\":\"100\"" + (to < 30 ? ",\"continue\":\"" + to + "\"" : "")
                + "},\"items\":[");
        String label = "x".repeat(1024 * 1024);
        for (int i = from; i < to; i++) {
            response.write((i == from ? "" : ",") + "{\"metadata\":{\"uid\":\"pod-" + i + "\",\"labels\":{\"a\":\"" + label + "\"}}}");
        }
        response.end("]}");
    }

    private List<String> limits() {
        return server.received().stream()
                .filter(request -> request.getParam("watch") == null)
                .map(request -> request.getParam("limit"))
                .toList();
    }

    @Test
    void asksForSmallerPagesWhereAPageIsLongerThanSixteenMebibytes() {
        // Given
        lists.add(this::largePods);

        // When
        start();
        untilWatching(1);

        // Then
        assertThat(limits()).containsExactly("100", "50", "25", "12", "12", "12");
        assertThat(registry.get("pod_identity_pods").gauge().value()).isEqualTo(30);
        assertThat(pauses).isEmpty();

        // When: the large pods are gone and the pods must be listed again
        lists.set(0, list("200", "a"));
        send("{\"type\":\"ERROR\",\"object\":{\"code\":410}}\n");
        untilWatching(2);

        // Then
        assertThat(limits()).last().isEqualTo("24");
    }

    @Test
    void pausesWhereEvenAPageOfOneIsTooLong() {
        String labels = "\"" + "x".repeat(1024 * 1024) + "\"";
        lists.add(request -> {
            HttpServerResponse response = request.response().setChunked(true);
            response.write("{\"items\":[");
            IntStream.range(0, 17).forEach(i -> response.write(labels + ","));
            response.end("1]}");
        });
        start();

        fixture.until(() -> ends("broken") == 1);

        assertThat(limits()).containsExactly("100", "50", "25", "12", "6", "3", "1");
        assertThat(pauses).containsExactly(SECOND);
        assertThat(fixture.<Boolean>call(watch::synced)).isFalse();
    }

    @ParameterizedTest
    @ValueSource(strings = {"list", "watch"})
    void readsAPodOfWhichOneNameIsAsLongAsKubernetesTakes(String by) {
        // Given: a managed field named after an environment variable, whose name has no maximum length
        String name = "k:{\\\"name\\\":\\\"" + "x".repeat(1_400_000) + "\\\"}";
        String pod = "{\"metadata\":{\"managedFields\":[{\"fieldsV1\":{\"f:env\":{\"" + name + "\":{}}}}],\"uid\":\"b\"}}";
        if (by.equals("list")) {
            lists.add(request -> request.response().end(
                    "{\"metadata\":{\"resourceVersion\":\"100\"},\"items\":[" + pod + "]}"));
        } else {
            lists.add(list("100"));
            watches.add(0, request -> {
                hold(request);
                send("{\"type\":\"ADDED\",\"object\":" + pod + "}\n");
            });
        }

        // When
        start();

        // Then
        fixture.until(() -> registry.get("pod_identity_pods").gauge().value() == 1 && watch.synced());
        assertThat(ends("expired") + ends("broken")).isZero();
    }

    @ParameterizedTest
    @CsvSource({"0, '1000, 2000, 4000, 8000, 10000, 10000, 10000'", "1, '500, 1000, 2000, 4000, 5000, 5000, 5000'"})
    void pausesLongerWithEachFailureAndTenSecondsAtTheMost(double drawn, String expected) {
        // Given
        random = drawn;
        lists.add(status(500));
        start();

        // When
        for (int i = 1; i <= 7; i++) {
            int failures = i;
            fixture.until(() -> ends("broken") == failures);
            fixture.advance(pauses.get(failures - 1));
        }

        // Then: the attempt after the last pause may also have failed by now
        assertThat(pauses.stream().limit(7).map(pause -> Long.toString(pause.toMillis())).collect(Collectors.joining(", ")))
                .isEqualTo(expected);
    }

    @Test
    void pausesShortlyAgainAfterAWatchThatWentWell() {
        // Given
        lists.add(status(500));
        lists.add(status(500));
        lists.add(list("100", "a"));
        start();
        fixture.until(() -> ends("broken") == 1);
        fixture.advance(SECOND);
        fixture.until(() -> ends("broken") == 2);
        fixture.advance(SECOND.multipliedBy(2));
        untilWatching(1);
        fixture.advance(LONGEST_PAUSE);

        // When
        server.received().get(3).connection().close();

        // Then
        fixture.until(() -> ends("broken") == 3);
        assertThat(pauses).last().isEqualTo(SECOND);
    }

    @Test
    void watchesWithinSecondsOnceAnApiServerThatHasJustStartedAllowsIt() {
        // Given
        lists.add(status(403));
        lists.add(status(403));
        lists.add(list("100", "a"));
        watches.add(0, status(403));
        start();
        fixture.until(() -> ends("refused") == 1);

        // When
        fixture.advance(SECOND);
        fixture.until(() -> ends("refused") == 2);
        fixture.advance(SECOND.multipliedBy(2));
        fixture.until(() -> ends("refused") == 3);
        fixture.advance(SECOND.multipliedBy(4));

        // Then
        untilWatching(1);
        assertThat(requests("list")).hasSize(3);
        assertThat(gone("unknown", Instant.EPOCH)).isTrue();
    }

    @Test
    void believesARefusalThatIsRepeatedForMinutesAndTriesAgainAfterTenMinutes() {
        // Given
        lists.add(status(403));
        start();
        for (int i = 1; i < RefusalBackoff.BELIEVED; i++) {
            int refusals = i;
            fixture.until(() -> ends("refused") == refusals);
            fixture.advance(pauses.get(pauses.size() - 1));
        }
        fixture.until(() -> ends("refused") == RefusalBackoff.BELIEVED);
        assertThat(pauses).hasSize(RefusalBackoff.BELIEVED).last().isEqualTo(Duration.ofMinutes(10));

        // When
        lists.add(list("100", "b"));
        lists.remove(0);
        fixture.advance(Duration.ofMinutes(10).minusMillis(1));
        assertThat(requests("list")).hasSize(RefusalBackoff.BELIEVED);
        fixture.advance(Duration.ofMillis(1));

        // Then
        untilWatching(1);
        assertThat(gone("a", Instant.EPOCH)).isTrue();

        // When: access is refused again
        watches.add(0, status(403));
        server.received().get(server.received().size() - 1).connection().close();
        fixture.until(() -> !watch.synced());
        fixture.advance(SECOND);
        fixture.until(() -> ends("refused") == RefusalBackoff.BELIEVED + 1);

        // Then
        assertThat(pauses).last().isEqualTo(SECOND);
    }

    @Test
    void believesThatItMayNotWatchThoughItMayList() {
        // Given
        lists.add(list("100", "a"));
        watches.add(0, status(403));
        watches.add(0, status(403));
        start();

        // When
        fixture.until(() -> ends("refused") == 1);
        fixture.advance(SECOND);
        fixture.until(() -> ends("refused") == 2);

        // Then
        assertThat(pauses).containsExactly(SECOND, SECOND.multipliedBy(2));
        assertThat(requests("list")).hasSize(1);
    }

    @Test
    void saysAtTheThirdRefusalThatItMayNotWatchAndOnlyThen() {
        // Given
        lists.add(status(403));
        start();

        // When
        for (int i = 1; i <= RefusalBackoff.BELIEVED; i++) {
            int refusals = i;
            fixture.until(() -> ends("refused") == refusals);
            assertThat(log.lines()).hasSize(refusals < 3 ? 0 : 1);
            fixture.advance(pauses.get(pauses.size() - 1));
        }

        // Then
        assertThat(log.lines()).containsExactly(
                "WARN The agent is not allowed to watch the pods of this node; pods count as running until they are known to"
                        + " be deleted");
    }

    @Test
    void namesTheMissingRule() {
        assertThat(Permission.WATCH_PODS.missing(new ApiAnswer(403, Buffer.buffer(), Optional.empty()))).hasMessage("The agent may not watch the pods"
                + " of this node (HTTP 403): give its service account a role with apiGroups \"\", resources pods with the"
                + " verbs list"
                + " and watch");
    }

    @Test
    void saysThatItCannotWatchAtTheThirdFailureAndWhenItCanAgain() {
        // Given
        lists.add(status(500));
        lists.add(status(500));
        lists.add(status(500));
        lists.add(status(500));
        lists.add(list("100", "a"));
        start();

        // When
        for (int i = 1; i <= 4; i++) {
            int failures = i;
            fixture.until(() -> ends("broken") == failures);
            assertThat(log.lines()).hasSize(failures < 3 ? 0 : 1);
            fixture.advance(pauses.get(pauses.size() - 1));
        }
        untilWatching(1);

        // Then
        assertThat(log.lines()).containsExactly(
                "WARN The pods of this node cannot be watched; pods count as running until they are known to be deleted",
                "INFO Watching the pods of this node");
    }

    @Test
    void saysAgainThatItCannotWatchWhenAWatchThatHasStoodDidNotLast() {
        // Given
        lists.add(status(500));
        lists.add(status(500));
        lists.add(status(500));
        lists.add(list("100", "a"));
        watches.add(status(500));
        start();
        for (int i = 1; i <= 3; i++) {
            int failures = i;
            fixture.until(() -> ends("broken") == failures);
            fixture.advance(pauses.get(pauses.size() - 1));
        }
        untilWatching(1);

        // When
        server.received().get(4).connection().close();
        for (int i = 4; i <= 8; i++) {
            int failures = i;
            fixture.until(() -> ends("broken") == failures);
            assertThat(log.lines()).hasSize(failures < 6 ? 2 : 3);
            fixture.advance(pauses.get(pauses.size() - 1));
        }

        // Then
        assertThat(log.lines()).containsExactly(
                "WARN The pods of this node cannot be watched; pods count as running until they are known to be deleted",
                "INFO Watching the pods of this node",
                "WARN The pods of this node cannot be watched; pods count as running until they are known to be deleted");
    }

    @Test
    void knowsTheDeadWhileItMayNotWatchAnyMore() {
        // Given
        startSynced("a", "b");
        send(event("DELETED", "a", "101"));
        fixture.until(() -> died.size() == 1);
        watches.add(0, status(403));

        // When
        server.received().get(1).connection().close();
        fixture.until(() -> !watch.synced());
        fixture.advance(SECOND);
        fixture.until(() -> ends("refused") == 1);

        // Then
        assertThat(gone("a")).isTrue();
        assertThat(gone("b")).isFalse();
        assertThat(gone("unknown", Instant.EPOCH)).isFalse();
    }

    @Test
    void remembersTheLastTenThousandOfTheDead() {
        // Given
        startSynced("a");

        // When
        StringBuilder events = new StringBuilder();
        IntStream.rangeClosed(0, 10_000).forEach(i -> events.append(
                "{\"type\":\"DELETED\",\"object\":{\"metadata\":{\"uid\":\"dead-" + i + "\",\"resourceVersion\":\"" + (101 + i)
                        + "\"}}}\n"));
        send(events.toString());

        // Then
        fixture.until(() -> died.size() == 10_001);
        assertThat(gone("dead-0")).isFalse();
        assertThat(gone("dead-1")).isTrue();
        assertThat(gone("dead-10000")).isTrue();
    }

    @Test
    void ignoresWhatIsOfAnotherNodeThoughItWasNotAskedFor() {
        // Given
        startSynced("a");
        JsonObject elsewhere = pod("elsewhere", "101").put("spec", new JsonObject().put("nodeName", "node-2"));

        // When
        send(new JsonObject().put("type", "DELETED").put("object", elsewhere).encode() + event("DELETED", "a", "102"));

        // Then
        fixture.until(() -> !died.isEmpty());
        assertThat(died).containsExactly("a");
    }

    @Test
    void doesNothingAfterItIsClosed() {
        // Given
        startSynced("a");

        // When
        fixture.run(watch::close);
        server.received().get(1).connection().close();
        fixture.advance(Duration.ofHours(1));

        // Then
        assertThat(fixture.<Integer>call(fixture.time::pending)).isZero();
        assertThat(server.received()).hasSize(2);
    }
}
