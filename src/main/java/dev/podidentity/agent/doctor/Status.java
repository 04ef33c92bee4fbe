package dev.podidentity.agent.doctor;

import java.util.Locale;

/** The severity of a finding. */
enum Status {
    OK,
    WARN,
    FAIL,
    /** The check could not run, which is not a fault in itself. */
    SKIP;

    /** Returns the name in reports. */
    String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}
