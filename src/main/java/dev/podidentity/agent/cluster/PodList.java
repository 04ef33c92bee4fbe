package dev.podidentity.agent.cluster;

import dev.podidentity.agent.apiserver.HttpCalls.Parts;
import dev.podidentity.agent.outbound.CallFailure;
import io.vertx.core.buffer.Buffer;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Reads one page of a list of pods as it arrives. */
final class PodList implements Parts, JsonScanner.Listener {

    private static final String POD = "/items/*";
    private static final String VERSION = "/metadata/resourceVersion";
    private static final String CONTINUE = "/metadata/continue";
    private static final Set<String> WANTED = Stream.concat(
                    Stream.of(POD, VERSION, CONTINUE), SeenPod.PATHS.stream().map(path -> POD + path))
            .collect(Collectors.toUnmodifiableSet());
    /**
     * A page of one pod always fits: etcd limits an object to 1.5 MiB, which JSON escapes can make six times as long. A page
     * of a hundred pods exceeds this only if someone intends it.
     */
    private static final int LONGEST = 16 * 1024 * 1024;

    private final String node;
    private final JsonScanner json = new JsonScanner("The API server's list of pods", LONGEST, WANTED, this);
    private final Map<String, String> values = new HashMap<>();
    private final Set<String> living = new HashSet<>();
    private String version = "";
    private String next = "";

    PodList(String node) {
        this.node = node;
    }

    @Override
    public void take(Buffer part) throws CallFailure {
        json.take(part);
    }

    @Override
    public void value(String path, String text) {
        switch (path) {
            case VERSION -> version = text;
            case CONTINUE -> next = text;
            default -> values.put(path, text);
        }
    }

    @Override
    public void end(String path) {
        SeenPod pod = SeenPod.of(values, POD);
        values.clear();
        if (pod.livesOn(node)) {
            living.add(pod.uid());
        }
    }

    /** Returns whether the page is complete and has a version to watch from. */
    boolean whole() {
        return json.complete() && json.documents() == 1 && !version.isEmpty();
    }

    /** Returns whether the page exceeded the maximum size, so that the next request must ask for fewer pods. */
    boolean tooLong() {
        return json.tooLong();
    }

    /** Returns the UIDs of the living pods. */
    Set<String> living() {
        return living;
    }

    /** Returns the version to watch from. */
    String version() {
        return version;
    }

    /** Returns the continue token of the next page; empty on the last page. */
    String next() {
        return next;
    }
}
