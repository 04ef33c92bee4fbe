package dev.podidentity.agent.eksauth;

/** Why EKS Auth issued no credentials. Callers decide by the class what happens next. */
public sealed interface EksAuthFailure extends EksAuthAnswer permits PermanentFailure, TransientFailure {

    /** Returns the error code, one of a fixed set, so that it can be a metric label. */
    String code();

    /** Returns what went wrong and what to do, for the owner of the pod; contains no secret. */
    String message();

    /** Returns what EKS Auth itself said. */
    Said said();

    /** Returns the message, followed by what EKS Auth said. */
    default String explanation() {
        String said = said().inWords();
        return said.isEmpty() ? message() : message() + ". " + said;
    }
}
