package dev.podidentity.agent.verification;

import dev.podidentity.agent.token.NotVerified;
import dev.podidentity.agent.token.RejectedToken.Rejection;
import dev.podidentity.agent.token.Validity;
import dev.podidentity.agent.token.Verification;
import dev.podidentity.agent.token.VerifiedClaims;
import java.time.Instant;
import java.util.Optional;

/**
 * What a token's text and the cluster's keys say of it, whatever the time is.
 *
 * @param verdict what it proves while it is valid, or why that cannot be said
 * @param validity when it is; empty if that does not matter
 */
record Judgement(Verification verdict, Optional<Validity> validity) {

    static Judgement of(Verification verdict) {
        return new Judgement(verdict, Optional.empty());
    }

    /** What it proves now. */
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

    /** Whether nobody but the cluster could have signed it. */
    boolean genuine() {
        return verdict instanceof VerifiedClaims
                || verdict instanceof NotVerified not
                        && (not.reason() == NotVerified.Reason.NO_POD || not.reason() == NotVerified.Reason.OTHER_ISSUER);
    }

    /** Whether other keys may let more be said of it. */
    boolean wantsOtherKeys() {
        return verdict instanceof NotVerified not && not.reason() == NotVerified.Reason.UNKNOWN_KEY;
    }
}
