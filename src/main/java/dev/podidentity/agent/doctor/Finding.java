package dev.podidentity.agent.doctor;

import dev.podidentity.agent.outbound.CallFailure;
import java.util.List;
import java.util.Optional;

/**
 * What a check saw. Neither sentence ends with a full stop, and neither holds a secret.
 *
 * @param seen a sentence
 * @param remedy what to do, as a sentence; empty where there is nothing to do
 * @param details lines that belong to it, such as commands
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

    /** The message says what to do as well. */
    static Finding failed(CallFailure failure) {
        return new Finding(Status.FAIL, failure.getMessage(), Optional.empty(), List.of());
    }

    /** @param seen why it could not be looked at */
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
