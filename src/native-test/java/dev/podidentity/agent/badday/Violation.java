package dev.podidentity.agent.badday;

import java.util.Locale;

/** Something that must not happen, and when it did. */
public record Violation(Invariant invariant, long at, String what) {

    /** What holds on the worst day. */
    public enum Invariant {
        /** Nobody gets credentials of another identity. */
        OWN_CREDENTIALS,
        /** Nobody gets expired credentials. */
        VALID_CREDENTIALS,
        /** Answers are as the contract has them. */
        FORM,
        /** Errors are those of the trouble. */
        EXPLAINED_ERROR,
        /** Each request ends within its client's deadline. */
        DEADLINE,
        /** Valid credentials are not refused because something else is down. */
        KEPT_CREDENTIALS,
        /** Connections are made, and end with an answer. */
        CONNECTION,
        /** Everybody is served soon after a trouble. */
        RECOVERY,
        /** The agent ends when it is told to, and not otherwise. */
        EXIT,
        /** There is no secret in the log, and no error that nothing explains. */
        LOG,
        /** Memory, descriptors and threads come back. */
        RESOURCES,
        /** Memory, descriptors and threads do not grow. */
        GROWTH
    }

    @Override
    public String toString() {
        return String.format(Locale.ROOT, "%8.3f s %s: %s", at / 1e9, invariant, what);
    }
}
