package dev.podidentity.agent.cluster;

import dev.podidentity.agent.apiserver.HttpCalls.Parts;
import dev.podidentity.agent.outbound.CallFailure;
import io.vertx.core.buffer.Buffer;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Reads the events of a watch on pods as they arrive, in arbitrary chunks. */
final class PodEvents implements Parts, JsonScanner.Listener {

    private static final String EVENT = "";
    private static final String TYPE = "/type";
    private static final String POD = "/object";
    private static final String VERSION = "/object/metadata/resourceVersion";
    private static final String CODE = "/object/code";
    private static final String REASON = "/object/reason";
    private static final String GONE = "410";
    private static final String EXPIRED = "Expired";
    private static final Set<String> WANTED = Stream.concat(
                    Stream.of(EVENT, TYPE, VERSION, CODE, REASON), SeenPod.PATHS.stream().map(path -> POD + path))
            .collect(Collectors.toUnmodifiableSet());
    /** Etcd limits an object to 1.5 MiB, which JSON escapes can make six times as long. */
    private static final int LONGEST = 16 * 1024 * 1024;

    private final Listener listener;
    private final JsonScanner json = new JsonScanner("An event of the API server's watch on pods", LONGEST, WANTED, this);
    private final Map<String, String> values = new HashMap<>();
    private boolean expired;
    private boolean unusable;

    /** Receives the events. The version of an event, empty if it has none, is where a later watch can resume. */
    interface Listener {

        /** The watch has started. */
        void begun();

        /** A pod exists or has changed. */
        void seen(SeenPod pod, String version);

        /** A pod was deleted, or no longer matches the selector. */
        void deleted(SeenPod pod, String version);

        /** Nothing happened up to this version. */
        void bookmark(String version);
    }

    PodEvents(Listener listener) {
        this.listener = listener;
    }

    @Override
    public void begin() {
        listener.begun();
    }

    @Override
    public void take(Buffer part) throws CallFailure {
        try {
            json.take(part);
        } catch (CallFailure failure) {
            unusable = true;
            throw failure;
        }
    }

    /** Returns whether the API server no longer has the history since the requested version. */
    boolean expired() {
        return expired;
    }

    /** Returns whether the watch ended with data from which it cannot resume. */
    boolean unusable() {
        return unusable;
    }

    @Override
    public void value(String path, String text) {
        values.put(path, text);
    }

    @Override
    public void end(String path) throws CallFailure {
        if (!path.equals(EVENT)) {
            return;
        }
        SeenPod pod = SeenPod.of(values, POD);
        String type = values.getOrDefault(TYPE, "");
        String version = values.getOrDefault(VERSION, "");
        String code = values.getOrDefault(CODE, "unknown");
        expired = type.equals("ERROR") && (code.equals(GONE) || EXPIRED.equals(values.get(REASON)));
        values.clear();
        switch (type) {
            case "ADDED", "MODIFIED" -> listener.seen(pod, version);
            case "DELETED" -> listener.deleted(pod, version);
            case "BOOKMARK" -> listener.bookmark(version);
            case "ERROR" -> throw new CallFailure("The API server ended the watch on pods with the error code " + code, false);
            default -> throw new CallFailure("The API server's watch on pods sent an event of an unknown type", false);
        }
    }
}
