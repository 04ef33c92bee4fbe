package dev.podidentity.agent.credentials;

import dev.podidentity.agent.config.CoalesceScope;
import dev.podidentity.agent.token.ServiceAccountToken;
import dev.podidentity.agent.token.Verification;
import dev.podidentity.agent.token.VerifiedClaims;
import dev.podidentity.agent.verification.TokenVerification;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;

/**
 * The fast path to a cache hit. A pod's SDK sends the same token repeatedly, so its parsed claims are kept with the
 * credentials, and found by the token's exact characters. Only what cannot change is taken from there: the token's times are
 * compared with the clock, and signing keys, verdicts, deleted pods, refusals and the credentials are checked each time.
 * Everything except a plain hit is left to {@link CredentialService#request}, which would come to the same result. Confined
 * to the event loop.
 */
public final class CachedTokens {

    private final CredentialService credentials;
    private final TokenVerification verification;
    private final CoalesceScope scope;
    private final Duration leeway;
    private final Clock clock;

    /**
     * @param scope which requests share credentials
     * @param leeway how far this node's clock may be behind the API server's, as for reading tokens
     * @param clock the clock for the expiry of tokens and credentials
     */
    public CachedTokens(
            CredentialService credentials,
            TokenVerification verification,
            CoalesceScope scope,
            Duration leeway,
            Clock clock) {
        this.credentials = credentials;
        this.verification = verification;
        this.scope = scope;
        this.leeway = leeway;
        this.clock = clock;
    }

    /**
     * Returns the credentials for a token that {@link CredentialService#request} would serve immediately. They count as
     * used, and the token as verified.
     *
     * @param bytes contain exactly the token's characters, from {@code from} to before {@code to}
     * @return null if the token is unknown, or if it is not a plain hit
     */
    public Credentials hit(byte[] bytes, int from, int to) {
        Caller caller = credentials.find(bytes, from, to);
        if (caller == null) {
            return null;
        }
        ServiceAccountToken token = caller.token();
        Instant now = clock.instant();
        if (!token.validity().current(now, leeway)) {
            return null;
        }
        Verification verdict = verification.known(token, now);
        if (verdict == null || !verdict.equals(caller.verification()) || !asScoped(caller)) {
            return null;
        }
        Credentials hit = credentials.hit(caller, now);
        if (hit != null) {
            verification.used(verdict);
        }
        return hit;
    }

    /**
     * Returns whether the caller has the identity of a current request with its token; otherwise its credentials are only a
     * fallback.
     */
    private boolean asScoped(Caller caller) {
        boolean shares = scope != CoalesceScope.TOKEN && caller.verification() instanceof VerifiedClaims;
        return shares == (caller.identity() instanceof Identity.VerifiedWorkload);
    }
}
