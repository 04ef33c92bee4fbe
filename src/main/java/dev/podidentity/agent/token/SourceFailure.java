package dev.podidentity.agent.token;

/** What tokens are verified with could not be had. Its message says what to do and holds no secret; has no stack trace. */
public final class SourceFailure extends Exception {

    private final boolean forbidden;

    /** @param forbidden whether the answer was that the agent may not ask; from a server that has just started it may pass */
    public SourceFailure(String message, boolean forbidden) {
        super(message, null, false, false);
        this.forbidden = forbidden;
    }

    public boolean forbidden() {
        return forbidden;
    }
}
