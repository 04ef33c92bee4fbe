package dev.podidentity.agent.token;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.StreamReadFeature;
import io.vertx.core.json.DecodeException;
import io.vertx.core.json.jackson.JacksonCodec;
import java.io.IOException;

/**
 * Parses JSON on which trust depends. Rejects duplicate members, which two parsers could read differently. Any thread;
 * memory is limited by the text and the parser's limit on nesting.
 */
public final class StrictJson {

    private static final JsonFactory JSON =
            JsonFactory.builder().enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION).build();

    private StrictJson() {}

    /**
     * Parses a text.
     *
     * @return a JsonObject, a JsonArray, a String, a Number, a Boolean or null
     * @throws DecodeException if it is not JSON
     */
    public static Object read(String text) {
        try (JsonParser parser = JSON.createParser(text)) {
            return JacksonCodec.fromParser(parser, Object.class);
        } catch (IOException e) {
            throw new DecodeException("Not JSON", e);
        }
    }
}
