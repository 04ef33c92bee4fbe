package dev.podidentity.agent.credentials;

import dev.podidentity.agent.verification.LivingPods;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;

/** One identity's credentials and what their renewal needs to know. Confined to the event loop, as its cache is. */
final class CacheEntry {

    /** Roughly what an entry takes beside its tokens and its body: the objects, the nodes of map and index, the key. */
    private static final int OVERHEAD = 384;

    private final Identity identity;
    private final PodTokens pods;
    private Credentials credentials;
    /** The number of the use that was last, among those of all entries. */
    private long lastUse;
    private boolean used;
    private Duration renewAfter = Duration.ZERO;
    /** When it may be renewed again, in nanoseconds of the monotonic clock. */
    private long retryAt;
    private int failedRenewals;
    private int shortLived;
    /** Until when short-lived credentials are handed out although they are not fresh, by the same clock. */
    private long heldUntil;

    /** @param listing is told of the entry's tokens */
    CacheEntry(Identity identity, PodTokens.Listing listing) {
        this.identity = identity;
        this.pods = new PodTokens(listing);
    }

    /**
     * Takes in fresh credentials.
     *
     * @param wanted whether a request asked for them, which is a use
     */
    void renewed(Credentials fresh, boolean wanted, RenewalPolicy policy, double random) {
        credentials = fresh;
        // Whoever came while the renewal was under way counts too.
        used |= wanted;
        failedRenewals = 0;
        long now = fresh.fetchedAtNanos();
        renewAfter = policy.renewAfter(fresh, random);
        retryAt = now;
        shortLived = policy.longLived(fresh) ? 0 : shortLived + 1;
        heldUntil = shortLived > 1 ? now + policy.holdFor(fresh).toNanos() : now;
    }

    /** A call to renew it has been made: what counts from now on is a use since then. */
    void renewalBegan() {
        used = false;
    }

    void renewalFailed(Instant now, long nanos, RenewalPolicy policy, double random) {
        used = true;
        failedRenewals++;
        retryAt = nanos + policy.retryAfter(credentials, failedRenewals, now, random).toNanos();
    }

    /** @param number of the use, higher than that of every use before */
    void use(long number) {
        used = true;
        lastUse = number;
    }

    /** The number of the use that was last. */
    long lastUse() {
        return lastUse;
    }

    /** Whether the credentials can be handed out without asking for fresher ones. */
    boolean servable(Instant now, long nanos, RenewalPolicy policy) {
        return credentials.validAt(now, nanos) && (policy.fresh(credentials, now) || nanos - heldUntil < 0);
    }

    /** Whether somebody wants the credentials, they are due, and there is a token to renew them with. */
    boolean due(Instant now, long nanos, RenewalPolicy policy, LivingPods living) {
        return used
                && nanos - retryAt >= 0
                && credentials.ageAt(now, nanos).compareTo(renewAfter) >= 0
                && renewable(now, policy, living).isPresent();
    }

    /** What to renew it with: the freshest token of a pod that lives. */
    Optional<Caller> renewable(Instant now, RenewalPolicy policy, LivingPods living) {
        return pods.freshest(
                caller -> policy.tokenUsable(caller.token().expiresAt(), now) && !caller.gone(living));
    }

    /**
     * Whether anybody can still ask for it: whoever shows an expired token is turned away. A workload's pods come with
     * other tokens, and find it as long as its credentials are valid.
     */
    boolean reachable(Instant now) {
        return !(identity instanceof Identity.ExactToken)
                || pods.all().stream().anyMatch(caller -> caller.token().expiresAt().isAfter(now));
    }

    /** Whether all pods that it is for are known to be gone. */
    boolean dead(LivingPods living) {
        return pods.all().stream().allMatch(caller -> caller.gone(living));
    }

    Identity identity() {
        return identity;
    }

    /** The pods that it is for; the cache keeps account of what changes in them. */
    PodTokens pods() {
        return pods;
    }

    Credentials credentials() {
        return credentials;
    }

    long bytes() {
        return OVERHEAD + pods.bytes() + credentials.answer().size();
    }

    @Override
    public String toString() {
        return "CacheEntry[" + identity + ", " + pods.size() + " pods, " + credentials + "]";
    }
}
