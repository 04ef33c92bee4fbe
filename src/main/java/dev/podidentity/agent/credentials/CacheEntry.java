package dev.podidentity.agent.credentials;

import dev.podidentity.agent.token.ServiceAccountToken;
import java.time.Instant;

/** One identity's credentials and what their renewal needs to know. Confined to the event loop, as its cache is. */
final class CacheEntry {

    /** Roughly what an entry takes beside its token and its body: the objects, the map's node, the key. */
    private static final int OVERHEAD = 512;

    private final Identity identity;
    private ServiceAccountToken token;
    private Credentials credentials;
    private boolean used;
    private Instant renewAt;
    private int failedRenewals;
    private int shortLived;
    private Instant heldUntil = Instant.MIN;

    CacheEntry(Identity identity) {
        this.identity = identity;
    }

    /**
     * Takes in fresh credentials.
     *
     * @param wanted whether a request asked for them, which is a use
     */
    void renewed(ServiceAccountToken with, Credentials fresh, boolean wanted, RenewalPolicy policy, double random) {
        token = with;
        credentials = fresh;
        // Whoever came while the renewal was under way counts too.
        used |= wanted;
        failedRenewals = 0;
        renewAt = policy.renewAt(fresh, random);
        Instant now = fresh.fetchedAt();
        shortLived = policy.longLived(fresh) ? 0 : shortLived + 1;
        heldUntil = shortLived > 1 ? policy.holdUntil(fresh, now) : Instant.MIN;
    }

    /** A call to renew it has been made: what counts from now on is a use since then. */
    void renewalBegan() {
        used = false;
    }

    void renewalFailed(Instant now, RenewalPolicy policy, double random) {
        used = true;
        failedRenewals++;
        renewAt = policy.retryAt(credentials, failedRenewals, now, random);
    }

    void use() {
        used = true;
    }

    /** Whether the credentials can be handed out without asking for fresher ones. */
    boolean servable(Instant now, RenewalPolicy policy) {
        return credentials.validAt(now) && (policy.fresh(credentials, now) || now.isBefore(heldUntil));
    }

    /** Whether somebody wants the credentials, they are due, and there is a token to renew them with. */
    boolean due(Instant now, RenewalPolicy policy) {
        return used && !renewAt.isAfter(now) && policy.tokenUsable(token.expiresAt(), now);
    }

    Identity identity() {
        return identity;
    }

    ServiceAccountToken token() {
        return token;
    }

    Credentials credentials() {
        return credentials;
    }

    long bytes() {
        return OVERHEAD + token.raw().length() + credentials.body().length();
    }

    @Override
    public String toString() {
        return "CacheEntry[" + token + ", " + credentials + "]";
    }
}
