package dev.podidentity.agent.outbound;

/**
 * A call to the API server or to an issuer has failed, or a file that it needs cannot be read. The message says what to do
 * and holds no secret. Has no stack trace.
 */
public final class CallFailure extends Exception {

    private final boolean forbidden;

    /** @param forbidden whether the agent lacks the permission; a server that has just started says so of everybody for a while */
    public CallFailure(String message, boolean forbidden) {
        super(message, null, false, false);
        this.forbidden = forbidden;
    }

    public boolean forbidden() {
        return forbidden;
    }
}
