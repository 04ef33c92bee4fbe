package dev.podidentity.agent.token;

/** Leaves the reading or verifying of a token early; has no stack trace, as a bad token is nothing unusual. */
final class Rejection extends Exception {

    private final RejectedToken rejected;

    Rejection(RejectedToken rejected) {
        super(rejected.message(), null, false, false);
        this.rejected = rejected;
    }

    static Rejection invalid(String message) {
        return new Rejection(RejectedToken.invalid(message));
    }

    Rejection naming(WorkloadClaims claims) {
        return new Rejection(rejected.naming(claims));
    }

    RejectedToken rejected() {
        return rejected;
    }
}
