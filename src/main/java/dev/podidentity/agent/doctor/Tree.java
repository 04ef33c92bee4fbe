package dev.podidentity.agent.doctor;

import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A value in JSON that may be of any type or missing, as what others wrote may be.
 *
 * @param value null if there is none
 */
record Tree(Object value) {

    /** The member of an object, and of that, and so on. */
    Tree at(String... names) {
        Object at = value;
        for (String name : names) {
            at = at instanceof JsonObject object ? object.getValue(name) : null;
        }
        return new Tree(at);
    }

    /** The elements; of what is no array, none. */
    List<Tree> each() {
        return value instanceof JsonArray array ? array.stream().map(Tree::new).toList() : List.of();
    }

    /** The elements, or the value itself where one may stand for a list of one. */
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

    /** The members of an object that are text. */
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
