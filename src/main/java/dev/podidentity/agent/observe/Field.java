package dev.podidentity.agent.observe;

/**
 * A key and a value that go with a log line, given as one of its parameters: the message stays the same, what differs
 * stands in fields. Never holds a secret.
 *
 * @param key the JSON key
 * @param value a string, number, boolean or null; anything else is written as its text
 */
public record Field(String key, Object value) {

    public static Field of(String key, Object value) {
        return new Field(key, value);
    }

    /** What a line shows that is formatted by somebody else's formatter. */
    @Override
    public String toString() {
        return key + '=' + value;
    }
}
