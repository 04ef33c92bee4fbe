package dev.podidentity.agent.badday;

/**
 * One request and what came of it.
 *
 * @param start when it was begun, before a connection was made, in nanoseconds of the day
 * @param end when the last of the answer had come, or it was known that none would come
 */
public record Exchange(Client client, long start, long end, Reply reply) {

    /** What came of a request. */
    public sealed interface Reply {}

    /**
     * An answer. A header that it does not have is {@code ""}.
     *
     * @param contentType as it stands in the header
     */
    public record Answer(int status, String contentType, String cacheControl, String retryAfter, String body)
            implements Reply {}

    /** There was no connection. */
    public record Unreachable(String why) implements Reply {}

    /** The connection ended before the answer did. */
    public record Broken(String why) implements Reply {}

    /** The client waited for as long as it does, in vain. */
    public record GivenUp() implements Reply {}

    /** Whether it got credentials. */
    public boolean served() {
        return reply instanceof Answer answer && answer.status() == 200;
    }
}
