package dev.podidentity.agent.doctor;

import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;

/** Compares this node's clock with the time of EKS Auth's response. */
final class ClockCheck implements Check {

    /** AWS rejects signatures that are older or newer than this. */
    private static final Duration REFUSED = Duration.ofMinutes(5);
    /** Tokens and credentials are valid for hours; an error of a minute shows that the clock is not synchronized. */
    private static final Duration TOLERATED = Duration.ofMinutes(1);
    private static final String REMEDY = "Synchronize this node's clock with chronyd or systemd-timesyncd; on EC2, use"
            + " 169.254.169.123";

    private final EksAuthCall call;
    private final Clock clock;

    ClockCheck(EksAuthCall call, Clock clock) {
        this.call = call;
        this.clock = clock;
    }

    @Override
    public String name() {
        return "clock";
    }

    @Override
    public List<Finding> examine() {
        Optional<Instant> there = call.outcome().answer().flatMap(answer -> answer.at());
        Instant here = clock.instant();
        return List.of(there.map(at -> finding(at, here))
                .orElseGet(() -> Finding.skip("The clock cannot be compared without a response of EKS Auth")));
    }

    private static Finding finding(Instant there, Instant here) {
        Duration off = Duration.between(there, here);
        String seen = "This node's clock is " + off.abs().toSeconds() + " s " + (off.isNegative() ? "behind" : "ahead of") + " EKS Auth's";
        if (off.abs().compareTo(REFUSED) >= 0) {
            return Finding.fail(seen + ", and AWS rejects its signatures", REMEDY);
        }
        return off.abs().compareTo(TOLERATED) >= 0
                ? Finding.warn(seen, REMEDY)
                : Finding.ok("This node's clock agrees with EKS Auth's");
    }
}
