package dev.podidentity.agent.doctor;

import dev.podidentity.agent.outbound.CallFailure;
import java.util.List;
import java.util.Optional;

/**
 * The finding of a check. Its sentences have no full stop at the end, and contain no secret.
 *
 * @param seen what was found, as a sentence
 * @param remedy what to do, as a sentence; empty if there is nothing to do
 * @param details additional lines, such as commands
 */
record Finding(Status status, String seen, Optional<String> remedy, List<String> details) {

    static Finding ok(String seen) {
        return new Finding(Status.OK, seen, Optional.empty(), List.of());
    }

    static Finding warn(String seen, String remedy) {
        return new Finding(Status.WARN, seen, Optional.of(remedy), List.of());
    }

    static Finding fail(String seen, String remedy) {
        return new Finding(Status.FAIL, seen, Optional.of(remedy), List.of());
    }

    /** The message of the failure also says what to do. */
    static Finding failed(CallFailure failure) {
        return new Finding(Status.FAIL, failure.getMessage(), Optional.empty(), List.of());
    }

    /** @param seen why the check cannot run */
    static Finding skip(String seen) {
        return new Finding(Status.SKIP, seen, Optional.empty(), List.of());
    }

    static Finding skip(String seen, String remedy) {
        return new Finding(Status.SKIP, seen, Optional.of(remedy), List.of());
    }

    Finding with(List<String> lines) {
        return new Finding(status, seen, remedy, List.copyOf(lines));
    }
}
