package dev.podidentity.agent.token;

/** What tokens are verified with could not be had. Its message says what to do and holds no secret; has no stack trace. */
public final class SourceFailure extends Exception {

    private final boolean forbidden;

    /** @param forbidden whether the agent may not ask, so that asking again is no use until somebody changes that */
    public SourceFailure(String message, boolean forbidden) {
        super(message, null, false, false);
        this.forbidden = forbidden;
    }

    public boolean forbidden() {
        return forbidden;
    }
}
