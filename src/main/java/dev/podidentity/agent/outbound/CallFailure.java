package dev.podidentity.agent.outbound;

/**
 * Thrown if a call to the API server or to an issuer fails, or if a file that it needs cannot be read. The message says what
 * to do and contains no secret. There is no stack trace.
 */
public final class CallFailure extends Exception {

    private final boolean forbidden;

    /**
     * @param forbidden whether the agent lacks the permission; a server that has just started reports this to everyone for a
     *     while
     */
    public CallFailure(String message, boolean forbidden) {
        super(message, null, false, false);
        this.forbidden = forbidden;
    }

    public boolean forbidden() {
        return forbidden;
    }
}
