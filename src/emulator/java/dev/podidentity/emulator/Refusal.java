package dev.podidentity.emulator;

/** Ends the checks of a call with its error response. Has no stack trace, because errors are part of normal operation. */
final class Refusal extends Exception {

    private static final int FORBIDDEN = 403;

    private final Fault.ErrorAnswer answer;

    Refusal(EksAuthError error, String message) {
        this(new Fault.ErrorAnswer(error.status(), error.type(), message));
    }

    private Refusal(Fault.ErrorAnswer answer) {
        super(answer.message(), null, false, false);
        this.answer = answer;
    }

    /** An error of the signature check, which all AWS services make first. */
    static Refusal unsigned(String type, String message) {
        return new Refusal(new Fault.ErrorAnswer(FORBIDDEN, type, message));
    }

    Fault.ErrorAnswer answer() {
        return answer;
    }
}
