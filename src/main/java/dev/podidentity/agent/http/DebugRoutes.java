package dev.podidentity.agent.http;

import dev.podidentity.agent.credentials.CachedIdentity;
import dev.podidentity.agent.credentials.CredentialService;
import dev.podidentity.agent.loop.SourceRateLimit;
import dev.podidentity.agent.observe.Limit;
import dev.podidentity.agent.observe.LimitReport;
import dev.podidentity.agent.observe.LimitReport.LimitedSource;
import io.netty.util.NetUtil;
import io.vertx.core.Handler;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpHeaders;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.http.HttpServerResponse;
import io.vertx.core.http.HttpVersion;
import io.vertx.core.json.JsonObject;
import io.vertx.core.net.SocketAddress;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.function.LongSupplier;
import java.util.function.Supplier;

/**
 * Shows what the agent holds, without secrets: {@code /debug/entries} the cache, and {@code /debug/sources} the source
 * addresses that a limit rejected. Precedes the other routes of the probe listener, and responds only to connections whose
 * two ends are loopback addresses, whatever address the listener is bound to.
 *
 * <p>A cache can have tens of thousands of entries, so a response is created and sent in parts: only while the client reads,
 * and the event loop does other work between the parts. Confined to the event loop.
 */
final class DebugRoutes {

    static final String PATHS = "/debug/";

    private static final String ENTRIES = PATHS + "entries";
    private static final String SOURCES = PATHS + "sources";
    private static final int FORBIDDEN = 403;
    private static final int METHOD_NOT_ALLOWED = 405;
    private static final int VERSION_NOT_SUPPORTED = 505;
    /** Entries or sources per part, about 25 KiB of text: what Vert.x accepts at once, and half a millisecond's work. */
    private static final int PART = 50;
    /** The time for which the log is silent about a source that continues. */
    private static final Duration LATELY = Duration.ofSeconds(10);

    private final CredentialService credentials;
    private final LimitReport limits;
    private final SourceRateLimit rate;
    private final Handler<HttpServerRequest> others;
    private final Vertx vertx;
    private final LongSupplier nanos;

    /**
     * @param rate counts the requests for credentials of each source
     * @param others handles all other requests
     * @param nanos a monotonic clock
     */
    DebugRoutes(
            CredentialService credentials,
            LimitReport limits,
            SourceRateLimit rate,
            Handler<HttpServerRequest> others,
            Vertx vertx,
            LongSupplier nanos) {
        this.credentials = credentials;
        this.limits = limits;
        this.rate = rate;
        this.others = others;
        this.vertx = vertx;
        this.nanos = nanos;
    }

    void handle(HttpServerRequest request) {
        // The path as it was sent, so that no other path is decoded or normalized to one of these.
        String path = request.path();
        if (ENTRIES.equals(path)) {
            answer(request, "entries", new EntryParts());
        } else if (SOURCES.equals(path)) {
            Iterator<LimitedSource> sources = limits.limitedSources().iterator();
            answer(request, "sources", () -> nextSources(sources));
        } else {
            others.handle(request);
        }
    }

    private void answer(HttpServerRequest request, String name, Supplier<List<JsonObject>> parts) {
        HttpServerResponse response = request.response();
        if (!local(request.remoteAddress()) || !local(request.localAddress())) {
            response.setStatusCode(FORBIDDEN).end("only on a loopback address\n");
        } else if (!HttpMethod.GET.equals(request.method())) {
            response.setStatusCode(METHOD_NOT_ALLOWED).putHeader(HttpHeaders.ALLOW, "GET").end();
        } else if (request.version() == HttpVersion.HTTP_1_0) {
            // HTTP/1.0 cannot carry a response of unknown length on a connection that stays open.
            response.setStatusCode(VERSION_NOT_SUPPORTED).end();
        } else {
            response.putHeader(HttpHeaders.CONTENT_TYPE, "application/json")
                    .putHeader(HttpHeaders.CACHE_CONTROL, "no-store")
                    .setChunked(true)
                    .write("{\"" + name + "\":[");
            send(response, parts, true);
        }
    }

    private void send(HttpServerResponse response, Supplier<List<JsonObject>> parts, boolean first) {
        if (response.closed()) {
            return;
        }
        List<JsonObject> part = parts.get();
        if (part.isEmpty()) {
            response.end("]}\n");
            return;
        }
        Buffer text = Buffer.buffer();
        boolean begins = first;
        for (JsonObject one : part) {
            text.appendString(begins ? "\n" : ",\n").appendBuffer(one.toBuffer());
            begins = false;
        }
        response.write(text);
        if (response.writeQueueFull()) {
            response.drainHandler(drained -> send(response, parts, false));
        } else {
            vertx.getOrCreateContext().runOnContext(turn -> send(response, parts, false));
        }
    }

    /** Returns whether an address is a loopback address, which no other host can use. */
    static boolean local(SocketAddress address) {
        byte[] bytes = address == null || address.hostAddress() == null
                ? null
                : NetUtil.createByteArrayFromIpAddressString(address.hostAddress());
        try {
            return bytes != null && InetAddress.getByAddress(bytes).isLoopbackAddress();
        } catch (UnknownHostException e) {
            return false;
        }
    }

    /** The cache in the order in which entries were created; each part is read when its turn comes. */
    private final class EntryParts implements Supplier<List<JsonObject>> {

        private long last;

        @Override
        public List<JsonObject> get() {
            List<CachedIdentity.Numbered> part = credentials.look(last, PART);
            if (!part.isEmpty()) {
                last = part.get(part.size() - 1).number();
            }
            return part.stream().map(numbered -> entry(numbered.identity())).toList();
        }
    }

    private static JsonObject entry(CachedIdentity identity) {
        JsonObject json = new JsonObject()
                .put("namespace", identity.namespace())
                .put("serviceAccount", identity.serviceAccount());
        identity.podName().ifPresent(name -> json.put("podName", name));
        identity.podUid().ifPresent(uid -> json.put("podUid", uid));
        json.put("pods", identity.pods())
                .put("role", identity.role())
                .put("expiration", seconds(identity.expiration()));
        identity.nextRenewal().ifPresent(next -> json.put("nextRenewal", seconds(next)));
        identity.lastFailure().ifPresent(failure -> json.put("lastFailure", new JsonObject()
                .put("at", seconds(failure.at()))
                .put("code", failure.code())
                .put("message", failure.message())));
        return json.put("hits", identity.hits());
    }

    private static String seconds(Instant instant) {
        return Instant.ofEpochSecond(instant.getEpochSecond()).toString();
    }

    private List<JsonObject> nextSources(Iterator<LimitedSource> sources) {
        List<JsonObject> part = new ArrayList<>(PART);
        while (sources.hasNext() && part.size() < PART) {
            part.add(source(sources.next()));
        }
        return part;
    }

    private JsonObject source(LimitedSource source) {
        JsonObject rejections = new JsonObject();
        long refused = 0;
        for (Limit limit : source.rejections().keySet()) {
            long times = source.rejections().get(limit);
            rejections.put(limit.label(), times);
            refused += times;
        }
        JsonObject json = new JsonObject()
                .put("address", source.address())
                .put("limited", source.sinceLast().compareTo(LATELY) < 0)
                .put("refused", refused)
                .put("refusedByLimit", rejections)
                .put("secondsSinceRefused", source.sinceLast().toSeconds());
        rate.left(source.address(), nanos.getAsLong()).ifPresent(left -> json.put("requestsLeft", left));
        return json;
    }
}
