package dev.podidentity.agent.token;

import dev.podidentity.agent.token.RejectedToken.Rejection;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;

/**
 * The times in a token. They are compared with the clock at each use, so that a clock that was wrong has no lasting effect.
 *
 * @param expiresAt its {@code exp}
 * @param notBefore its {@code nbf}, if present
 * @param issuedAt its {@code iat}, if present
 */
public record Validity(Instant expiresAt, Optional<Instant> notBefore, Optional<Instant> issuedAt) {

    /** Creates the times of a token of which only the expiry is known. */
    public static Validity until(Instant expiresAt) {
        return new Validity(expiresAt, Optional.empty(), Optional.empty());
    }

    /** Returns whether {@link #requireCurrent} would accept the token. */
    public boolean current(Instant now, Duration leeway) {
        return expiresAt.isAfter(now) && !ahead(notBefore, now, leeway);
    }

    /**
     * Checks {@code exp} without leeway, because EKS Auth grants none and the SDK can read a fresher token; and {@code nbf}
     * with leeway, because a new pod's token is valid from the API server's current time on.
     *
     * @param leeway how far this node's clock may be behind the API server's
     */
    public void requireCurrent(Instant now, Duration leeway) throws Rejection {
        if (current(now, leeway)) {
            return;
        }
        if (!expiresAt.isAfter(now)) {
            throw new Rejection(RejectedToken.expired("The token expired at " + seconds(expiresAt)
                    + ": the SDK has not re-read the token file since; update the SDK, or restart the pod"));
        }
        throw Rejection.invalid("The token is not valid before " + seconds(notBefore.orElseThrow())
                + ": check the clock of this node");
    }

    public void requireIssued(Instant now, Duration leeway) throws Rejection {
        if (ahead(issuedAt, now, leeway)) {
            throw Rejection.invalid("The token is issued in the future: check the clock of this node");
        }
    }

    private static boolean ahead(Optional<Instant> time, Instant now, Duration leeway) {
        return time.isPresent() && time.get().isAfter(now.plus(leeway));
    }

    private static String seconds(Instant instant) {
        return Instant.ofEpochSecond(instant.getEpochSecond()).toString();
    }
}
