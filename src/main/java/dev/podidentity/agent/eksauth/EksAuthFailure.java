package dev.podidentity.agent.eksauth;

/** Why EKS Auth issued no credentials. What happens next depends on the class, and is decided where it happens. */
public sealed interface EksAuthFailure extends EksAuthAnswer permits PermanentFailure, TransientFailure {

    /** The error code, one of a fixed set, so that it can be a metric's label. */
    String code();

    /** What went wrong and what to do, for the person who runs the pod; holds no secret. */
    String message();

    /** What EKS Auth said itself. */
    Said said();

    /** The message, and after it what EKS Auth said. */
    default String explanation() {
        String said = said().inWords();
        return said.isEmpty() ? message() : message() + ". " + said;
    }
}
