package dev.podidentity.emulator;

import io.vertx.core.json.JsonObject;

/** Reads the body of a control request, and throws an {@link IllegalArgumentException} if it is invalid. */
final class ControlJson {

    private final JsonObject unread;

    ControlJson(JsonObject json) {
        this.unread = json.copy();
    }

    boolean has(String key) {
        return unread.containsKey(key);
    }

    String text(String key) {
        Object value = unread.remove(key);
        if (value instanceof String text && !text.isBlank()) {
            return text;
        }
        throw new IllegalArgumentException(key + " must be a string: " + value);
    }

    String optionalText(String key, String otherwise) {
        return has(key) ? text(key) : otherwise;
    }

    int number(String key) {
        Object value = unread.remove(key);
        if (value instanceof Integer number) {
            return number;
        }
        throw new IllegalArgumentException(key + " must be a whole number of 32 bits: " + value);
    }

    int optionalNumber(String key, int otherwise) {
        return has(key) ? number(key) : otherwise;
    }

    /** Rejects unknown keys, because a misspelled key would otherwise have no effect. */
    void requireNothingElse() {
        if (!unread.isEmpty()) {
            throw new IllegalArgumentException("The body has unknown fields: " + String.join(", ", unread.fieldNames())
                    + ": " + unread.encode());
        }
    }
}
