package dev.podidentity.agent.badday;

import java.util.Locale;

/** A violated invariant, and when it happened. */
public record Violation(Invariant invariant, long at, String what) {

    /** The invariants of even the worst day. */
    public enum Invariant {
        /** No client gets credentials of another identity. */
        OWN_CREDENTIALS,
        /** No client gets expired credentials. */
        VALID_CREDENTIALS,
        /** Responses have the form that the contract defines. */
        FORM,
        /** Every error is explained by a fault. */
        EXPLAINED_ERROR,
        /** Each request ends within its client's deadline. */
        DEADLINE,
        /** Valid credentials are not withheld because something else is down. */
        KEPT_CREDENTIALS,
        /** Connections are accepted, and end with a response. */
        CONNECTION,
        /** Every client is served soon after a fault. */
        RECOVERY,
        /** The agent ends only when it is told to. */
        EXIT,
        /** The log contains no secret and no unexplained error. */
        LOG,
        /** Memory, descriptors and threads return to normal. */
        RESOURCES,
        /** Memory, descriptors and threads do not grow. */
        GROWTH
    }

    @Override
    public String toString() {
        return String.format(Locale.ROOT, "%8.3f s %s: %s", at / 1e9, invariant, what);
    }
}
