package dev.podidentity.agent.doctor;

import java.util.Locale;

/** How good what a check saw is. */
enum Status {
    OK,
    WARN,
    FAIL,
    /** It could not be looked at, which is no fault in itself. */
    SKIP;

    /** As reports have it. */
    String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}
