package dev.podidentity.agent.cluster;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.async.ByteArrayFeeder;
import dev.podidentity.agent.outbound.CallFailure;
import io.vertx.core.buffer.Buffer;
import java.io.IOException;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Set;

/**
 * Picks values out of JSON while it comes, cut anywhere, and keeps nothing else of it: what takes megabytes on the wire
 * takes some bytes here. Reads one document after the other. Confined to the event loop.
 *
 * <p>The path of a value is made of the names on the way to it, each after a slash, with {@code *} for the elements of an
 * array.
 */
final class JsonScanner {

    private static final int LONGEST_TEXT = 2 * 1024 * 1024;
    /** Names are not kept for the next document: labels and annotations have any. */
    private static final JsonFactory JSON = JsonFactory.builder()
            .disable(JsonFactory.Feature.INTERN_FIELD_NAMES)
            .disable(JsonFactory.Feature.CANONICALIZE_FIELD_NAMES)
            // An object of Kubernetes has 1.5 MiB at the most, as etcd takes no more. All of that can be one string, or one
            // name: managed fields have the names of environment variables, which Kubernetes does not bound.
            .streamReadConstraints(StreamReadConstraints.builder()
                    .maxStringLength(LONGEST_TEXT)
                    .maxNameLength(LONGEST_TEXT)
                    .build())
            .build();

    private final String what;
    private final int longest;
    private final Set<String> wanted;
    private final int longestPath;
    private final Listener listener;
    private final JsonParser parser;
    private final ByteArrayFeeder feeder;
    private final StringBuilder path = new StringBuilder();
    /** The length of the path of each object and array that is open. */
    private final Deque<Integer> open = new ArrayDeque<>();
    private long sinceDocument;
    private int documents;
    private boolean tooLong;

    /** Hears of what is found. */
    interface Listener {

        /** A string or number stands at a path that was asked for. */
        void value(String path, String text);

        /** The object at a path that was asked for is complete. The path of a document is empty. */
        void end(String path) throws CallFailure;
    }

    /**
     * @param what is read, the subject of its failures
     * @param longest a document may be, in bytes
     * @param wanted paths of values and objects
     */
    JsonScanner(String what, int longest, Set<String> wanted, Listener listener) {
        this.what = what;
        this.longest = longest;
        this.wanted = wanted;
        this.longestPath = wanted.stream().mapToInt(String::length).max().orElse(0);
        this.listener = listener;
        try {
            this.parser = JSON.createNonBlockingByteArrayParser();
        } catch (IOException e) {
            throw new IllegalStateException("A parser without input reads nothing", e);
        }
        this.feeder = (ByteArrayFeeder) parser.getNonBlockingInputFeeder();
    }

    /** @throws CallFailure if it is not JSON, or longer than it may be */
    void take(Buffer part) throws CallFailure {
        sinceDocument += part.length();
        if (sinceDocument > longest) {
            tooLong = true;
            throw new CallFailure(what + " is longer than " + longest + " bytes", false);
        }
        try {
            byte[] bytes = part.getBytes();
            feeder.feedInput(bytes, 0, bytes.length);
            JsonToken token = parser.nextToken();
            while (token != null && token != JsonToken.NOT_AVAILABLE) {
                read(token);
                token = parser.nextToken();
            }
        } catch (IOException e) {
            throw new CallFailure(what + " is not JSON", false);
        }
    }

    /** Whether a document was longer than it may be. */
    boolean tooLong() {
        return tooLong;
    }

    /** How many documents have been complete. */
    int documents() {
        return documents;
    }

    /** Whether the input ends where a document does. */
    boolean complete() {
        return open.isEmpty();
    }

    private void read(JsonToken token) throws IOException, CallFailure {
        switch (token) {
            case START_OBJECT -> open.push(path.length());
            case START_ARRAY -> {
                open.push(path.length());
                path.append("/*");
            }
            case FIELD_NAME -> {
                path.setLength(open.element());
                String name = parser.currentName();
                // What is longer than all that is wanted need not be whole.
                path.append('/').append(name, 0, Math.min(name.length(), longestPath));
            }
            case END_OBJECT -> end();
            case END_ARRAY -> path.setLength(open.pop());
            case VALUE_STRING, VALUE_NUMBER_INT -> {
                if (wanted()) {
                    listener.value(path.toString(), parser.getText());
                }
            }
            default -> { }
        }
    }

    private void end() throws CallFailure {
        path.setLength(open.pop());
        if (wanted()) {
            listener.end(path.toString());
        }
        if (open.isEmpty()) {
            documents++;
            sinceDocument = 0;
        }
    }

    private boolean wanted() {
        return path.length() <= longestPath && wanted.contains(path.toString());
    }
}
