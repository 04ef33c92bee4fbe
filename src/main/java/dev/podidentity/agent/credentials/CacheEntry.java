package dev.podidentity.agent.credentials;

import dev.podidentity.agent.eksauth.EksAuthFailure;
import dev.podidentity.agent.verification.LivingPods;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;

/** One identity's credentials and what their renewal needs to know. Confined to the event loop, as its cache is. */
final class CacheEntry {

    /** Roughly what an entry takes beside its tokens and its body: the objects, the nodes of map and index, the key. */
    private static final int OVERHEAD = 384;

    private final Identity identity;
    private final long number;
    private final PodTokens pods;
    private Credentials credentials;
    /** The number of the use that was last, among those of all entries. */
    private long lastUse;
    private boolean used;
    private long hits;
    private Optional<FailedCall> lastFailure = Optional.empty();
    private Duration renewAfter = Duration.ZERO;
    /** When it may be renewed again, in nanoseconds of the monotonic clock. */
    private long retryAt;
    private int failedRenewals;
    private int shortLived;
    /** Until when short-lived credentials are handed out although they are not fresh, by the same clock. */
    private long heldUntil;

    /**
     * @param number higher than that of every entry that came before
     * @param listing is told of the entry's tokens
     */
    CacheEntry(Identity identity, long number, PodTokens.Listing listing) {
        this.identity = identity;
        this.number = number;
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
        lastFailure = Optional.empty();
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

    /** A request was served from it, without a call. */
    void hit() {
        hits++;
    }

    /** A call for it has failed. */
    void failed(Instant now, EksAuthFailure failure) {
        lastFailure = Optional.of(new FailedCall(now, failure.code(), failure.explanation()));
    }

    /** Tells apart the entries that came before from those that came later. */
    long number() {
        return number;
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

    /**
     * When it is to be renewed, which has passed if a renewal is late; empty if nobody has asked for it since the last
     * renewal, or if all its tokens have expired by then.
     */
    Optional<Instant> nextRenewal(Instant now, long nanos, RenewalPolicy policy, LivingPods living) {
        Duration untilDue = renewAfter.minus(credentials.ageAt(now, nanos));
        Duration untilRetry = Duration.ofNanos(retryAt - nanos);
        Instant next = now.plus(untilDue.compareTo(untilRetry) > 0 ? untilDue : untilRetry);
        return used && renewable(next.isAfter(now) ? next : now, policy, living).isPresent()
                ? Optional.of(next)
                : Optional.empty();
    }

    /** How long it has been due, by its age alone; zero if it is not, or if nothing can renew it. */
    Duration overdue(Instant now, long nanos, RenewalPolicy policy, LivingPods living) {
        Duration late = credentials.ageAt(now, nanos).minus(renewAfter);
        return used && late.compareTo(Duration.ZERO) > 0 && renewable(now, policy, living).isPresent()
                ? late
                : Duration.ZERO;
    }

    /** What it shows of itself. */
    CachedIdentity shown(Optional<Instant> nextRenewal) {
        return CachedIdentity.of(identity, pods, credentials, nextRenewal, lastFailure, hits);
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
        return OVERHEAD + pods.bytes() + credentials.answer().size() + credentials.role().length();
    }

    @Override
    public String toString() {
        return "CacheEntry[" + identity + ", " + pods.size() + " pods, " + credentials + "]";
    }
}
