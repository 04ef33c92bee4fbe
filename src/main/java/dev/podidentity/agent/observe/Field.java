package dev.podidentity.agent.observe;

/**
 * A key and value of a log line, passed as one of its parameters: the message is constant, and fields carry what varies.
 * Must not contain a secret.
 *
 * @param key the JSON key
 * @param value a string, number, boolean or null; anything else is written as a string
 */
public record Field(String key, Object value) {

    public static Field of(String key, Object value) {
        return new Field(key, value);
    }

    /** Returns the text that formatters of other libraries show. */
    @Override
    public String toString() {
        return key + '=' + value;
    }
}
