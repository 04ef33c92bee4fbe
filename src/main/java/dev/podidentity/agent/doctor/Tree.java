package dev.podidentity.agent.doctor;

import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A JSON value of any type, which may be absent: documents from elsewhere cannot be relied on.
 *
 * @param value null if it is absent
 */
record Tree(Object value) {

    /** Returns the member of an object, of that member, and so on. */
    Tree at(String... names) {
        Object at = value;
        for (String name : names) {
            at = at instanceof JsonObject object ? object.getValue(name) : null;
        }
        return new Tree(at);
    }

    /** Returns the elements of an array; empty if it is not an array. */
    List<Tree> each() {
        return value instanceof JsonArray array ? array.stream().map(Tree::new).toList() : List.of();
    }

    /** Returns the elements, or the value itself if it may stand for a list of one. */
    List<Tree> eachOrOne() {
        return value instanceof JsonArray ? each() : value == null ? List.of() : List.of(this);
    }

    Optional<String> text() {
        return value instanceof String text ? Optional.of(text) : Optional.empty();
    }

    boolean there() {
        return value != null;
    }

    boolean isTrue() {
        return Boolean.TRUE.equals(value);
    }

    /** Returns the members of an object that are strings. */
    Map<String, String> texts() {
        Map<String, String> texts = new LinkedHashMap<>();
        if (value instanceof JsonObject object) {
            object.forEach(member -> {
                if (member.getValue() instanceof String text) {
                    texts.put(member.getKey(), text);
                }
            });
        }
        return texts;
    }
}
