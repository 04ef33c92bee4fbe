package dev.podidentity.emulator;

/** Ends the checks of a call with the error that is its answer. Has no stack trace, as that is nothing unusual. */
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

    /** An error of the signature check, which every AWS service has in front. */
    static Refusal unsigned(String type, String message) {
        return new Refusal(new Fault.ErrorAnswer(FORBIDDEN, type, message));
    }

    Fault.ErrorAnswer answer() {
        return answer;
    }
}
