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
 * Extracts selected values from JSON that arrives in arbitrary chunks. It keeps nothing else, so that a document of several
 * megabytes takes only bytes of memory. It reads one document after another. Confined to the event loop.
 *
 * <p>The path of a value consists of the names that lead to it, each after a slash, with {@code *} for the elements of an
 * array.
 */
final class JsonScanner {

    private static final int LONGEST_TEXT = 2 * 1024 * 1024;
    /** Names are not cached for the next document, because labels and annotations can have any name. */
    private static final JsonFactory JSON = JsonFactory.builder()
            .disable(JsonFactory.Feature.INTERN_FIELD_NAMES)
            .disable(JsonFactory.Feature.CANONICALIZE_FIELD_NAMES)
            // A Kubernetes object has at most 1.5 MiB, the limit of etcd. A single string or name can take all of it:
            // managed fields contain the names of environment variables, whose length Kubernetes does not limit.
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
    /** The path length of each open object and array. */
    private final Deque<Integer> open = new ArrayDeque<>();
    private long sinceDocument;
    private int documents;
    private boolean tooLong;

    /** Receives what is found. */
    interface Listener {

        /** Called for a string or number at a selected path. */
        void value(String path, String text);

        /** Called when the object at a selected path is complete. The path of a document is empty. */
        void end(String path) throws CallFailure;
    }

    /**
     * @param what the subject of failure messages
     * @param longest the maximum size of a document, in bytes
     * @param wanted the selected paths of values and objects
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

    /** @throws CallFailure if the input is not JSON or a document is too long */
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

    /** Returns whether a document exceeded the maximum size. */
    boolean tooLong() {
        return tooLong;
    }

    /** Returns the number of complete documents. */
    int documents() {
        return documents;
    }

    /** Returns whether the input ends at the end of a document. */
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
                // A name longer than every selected path can be cut: it cannot match.
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
