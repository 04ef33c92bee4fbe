package dev.podidentity.agent.verification;

import dev.podidentity.agent.token.NotVerified;
import dev.podidentity.agent.token.RejectedToken.Rejection;
import dev.podidentity.agent.token.Validity;
import dev.podidentity.agent.token.Verification;
import dev.podidentity.agent.token.VerifiedClaims;
import java.time.Instant;
import java.util.Optional;

/**
 * The verdict on a token by its text and the cluster's keys, regardless of the time.
 *
 * @param verdict what it proves while it is valid, or why this is unknown
 * @param validity when it is valid; empty if this does not matter
 */
record Judgement(Verification verdict, Optional<Validity> validity) {

    static Judgement of(Verification verdict) {
        return new Judgement(verdict, Optional.empty());
    }

    /** Returns what it proves now. */
    Verification at(Instant now) {
        if (validity.isPresent()) {
            try {
                validity.get().requireCurrent(now, TokenVerification.LEEWAY);
                validity.get().requireIssued(now, TokenVerification.LEEWAY);
            } catch (Rejection e) {
                return e.rejected();
            }
        }
        return verdict;
    }

    /** Returns whether only the cluster can have signed it. */
    boolean genuine() {
        return verdict instanceof VerifiedClaims
                || verdict instanceof NotVerified not
                        && (not.reason() == NotVerified.Reason.NO_POD || not.reason() == NotVerified.Reason.OTHER_ISSUER);
    }

    /** Returns whether other keys could lead to another verdict. */
    boolean wantsOtherKeys() {
        return verdict instanceof NotVerified not && not.reason() == NotVerified.Reason.UNKNOWN_KEY;
    }
}
