package dev.podidentity.agent.badday;

import java.time.Duration;
import java.util.List;
import java.util.OptionalInt;

/**
 * All that happened on a day. Times are nanoseconds since its beginning, of a clock that is right.
 *
 * @param clocks how wrong the agent's clock was, from when on; it is right before the first
 * @param pauses of the test itself, in which it saw nothing
 * @param delays how long the agent's event loop had waited for a processor in all, by when; in order
 * @param log what must not stand in the agent's log
 */
public record History(
        List<Exchange> exchanges,
        List<Credentials> credentials,
        List<Span> troubles,
        List<Life> lives,
        List<ClockError> clocks,
        List<Pause> pauses,
        List<Delay> delays,
        List<Vitals> vitals,
        List<String> log) {

    /**
     * What EKS Auth issued, and to whom.
     *
     * @param token the number of the token of the call; -1 if it was nobody's here
     * @param pod of the token
     * @param expires as the agent writes it
     */
    public record Credentials(
            long issued,
            long expiry,
            String expires,
            String accessKeyId,
            String secretAccessKey,
            String sessionToken,
            String account,
            String serviceAccount,
            String pod,
            int token) {

        /** Leaves out what is secret. */
        @Override
        public String toString() {
            return accessKeyId + " of " + serviceAccount + "/" + pod + " until " + expires;
        }
    }

    /**
     * A trouble that lasts.
     *
     * @param serviceAccount that it is about; {@code ""} if it is about none
     */
    public record Span(Trouble trouble, long from, long to, String serviceAccount) {

        boolean overlaps(long start, long end) {
            return from <= end && to >= start;
        }
    }

    /** Who may share credentials. */
    public enum Sharing {
        TOKEN,
        POD,
        SERVICE_ACCOUNT
    }

    /** How a process was told to end. */
    public enum Ending {
        NOT_TOLD,
        SIGTERM,
        SIGKILL
    }

    /**
     * A process of the agent.
     *
     * @param ready when it listened
     * @param told when it was told to end; as {@code ended} if it was not told
     * @param ended when it had ended; {@link Long#MAX_VALUE} if it did not
     */
    public record Life(Sharing sharing, long ready, Ending ending, long told, long ended, OptionalInt exitCode) {

        boolean contains(long start, long end) {
            return ready <= start && end <= told;
        }

        boolean overlaps(long start, long end) {
            return ready <= end && start <= ended;
        }
    }

    /** From when on the agent's clock was ahead by so much. */
    public record ClockError(long from, Duration ahead) {}

    public record Pause(long from, long to) {}

    public record Delay(long at, long nanos) {}

    /** What the agent's process had. */
    public record Vitals(long at, long anonymousKib, long descriptors, long threads) {}
}
