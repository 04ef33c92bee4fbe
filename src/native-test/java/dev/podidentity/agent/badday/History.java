package dev.podidentity.agent.badday;

import java.time.Duration;
import java.util.List;
import java.util.OptionalInt;

/**
 * Everything that happened on a day. Times are nanoseconds since its start, by a correct clock.
 *
 * @param clocks the errors of the agent's clock over time; it is correct before the first
 * @param pauses periods in which the test itself was stalled and saw nothing
 * @param delays the total time that the agent's event loop had waited for a processor, over time; in order
 * @param log violations in the agent's log
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
     * Credentials that EKS Auth issued, and their owner.
     *
     * @param token the number of the token in the call; -1 if it belongs to no client here
     * @param pod the pod of the token
     * @param expires the expiration as the agent writes it
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

        /** Omits the secrets. */
        @Override
        public String toString() {
            return accessKeyId + " of " + serviceAccount + "/" + pod + " until " + expires;
        }
    }

    /**
     * A fault that lasts for a while.
     *
     * @param serviceAccount the affected service account; {@code ""} if there is none
     */
    public record Span(Trouble trouble, long from, long to, String serviceAccount) {

        boolean overlaps(long start, long end) {
            return from <= end && to >= start;
        }
    }

    /** Which tokens may share credentials. */
    public enum Sharing {
        TOKEN,
        POD,
        SERVICE_ACCOUNT
    }

    /** How a process was stopped. */
    public enum Ending {
        NOT_TOLD,
        SIGTERM,
        SIGKILL
    }

    /**
     * A process of the agent.
     *
     * @param ready when it listened
     * @param told when it was told to stop; equals {@code ended} if it was not
     * @param ended when it ended; {@link Long#MAX_VALUE} if it did not
     */
    public record Life(Sharing sharing, long ready, Ending ending, long told, long ended, OptionalInt exitCode) {

        boolean contains(long start, long end) {
            return ready <= start && end <= told;
        }

        boolean overlaps(long start, long end) {
            return ready <= end && start <= ended;
        }
    }

    /** The error of the agent's clock from a given time on. */
    public record ClockError(long from, Duration ahead) {}

    public record Pause(long from, long to) {}

    public record Delay(long at, long nanos) {}

    /** The resources that the agent's process used. */
    public record Vitals(long at, long anonymousKib, long descriptors, long threads) {}
}
