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
 * The short way to a cache hit. A pod's SDK sends the same token again and again, so what was read from it is kept with
 * the credentials it got, and found by its exact characters. Only what cannot change is taken from there: the token's
 * times are compared with the clock, and signing keys, verdicts, deaths of pods, refusals and the credentials are looked
 * at each time. Whatever is not a plain hit is left to {@link CredentialService#request}, which would have come to the
 * same answer. Confined to the event loop.
 */
public final class CachedTokens {

    private final CredentialService credentials;
    private final TokenVerification verification;
    private final CoalesceScope scope;
    private final Duration leeway;
    private final Clock clock;

    /**
     * @param scope who shares credentials
     * @param leeway how far this node's clock may be behind the API server's, as for reading tokens
     * @param clock tells the time that tokens and credentials expire by
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
     * Returns the credentials for a token, as {@link CredentialService#request} would serve them at once. They count as
     * used, and the token as verified.
     *
     * @param bytes hold the token's characters, exactly, from {@code from} to before {@code to}
     * @return null if the token is not known, or if there is more to do than to serve a hit
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

    /** Whether the caller's identity is the one that a request with its token has; the other is a last resort. */
    private boolean asScoped(Caller caller) {
        boolean shares = scope != CoalesceScope.TOKEN && caller.verification() instanceof VerifiedClaims;
        return shares == (caller.identity() instanceof Identity.VerifiedWorkload);
    }
}
