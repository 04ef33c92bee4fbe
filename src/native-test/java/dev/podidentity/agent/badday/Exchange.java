package dev.podidentity.agent.badday;

/**
 * One request and its result.
 *
 * @param start when it began, before the connection was made, in nanoseconds of the day
 * @param end when the whole response had arrived, or when it was known that none would arrive
 */
public record Exchange(Client client, long start, long end, Reply reply) {

    /** The result of a request. */
    public sealed interface Reply {}

    /**
     * A response. A missing header is {@code ""}.
     *
     * @param contentType the unparsed header
     */
    public record Answer(int status, String contentType, String cacheControl, String retryAfter, String body)
            implements Reply {}

    /** No connection could be made. */
    public record Unreachable(String why) implements Reply {}

    /** The connection ended before the response did. */
    public record Broken(String why) implements Reply {}

    /** The client's timeout expired. */
    public record GivenUp() implements Reply {}

    /** Returns whether the client received credentials. */
    public boolean served() {
        return reply instanceof Answer answer && answer.status() == 200;
    }
}
