package dev.podidentity.agent.credentials;

import dev.podidentity.agent.eksauth.EksAuthFailure;
import dev.podidentity.agent.verification.LivingPods;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;

/** The credentials of one identity, with what their renewal needs. Confined to the event loop, like its cache. */
final class CacheEntry {

    /**
     * Approximate size of an entry in addition to its tokens and its body: the objects, the nodes of map and index, and the
     * key.
     */
    private static final int OVERHEAD = 384;

    private final Identity identity;
    private final long number;
    private final PodTokens pods;
    private Credentials credentials;
    /** The sequence number of its last use, among the uses of all entries. */
    private long lastUse;
    private boolean used;
    private long hits;
    private Optional<FailedCall> lastFailure = Optional.empty();
    private Duration renewAfter = Duration.ZERO;
    /** The earliest time of its next renewal, in nanoseconds of the monotonic clock. */
    private long retryAt;
    private int failedRenewals;
    private int shortLived;
    /** Until when short-lived credentials are served although they are not fresh, on the same clock. */
    private long heldUntil;

    /**
     * @param number higher than that of every earlier entry
     * @param listing receives the entry's tokens
     */
    CacheEntry(Identity identity, long number, PodTokens.Listing listing) {
        this.identity = identity;
        this.number = number;
        this.pods = new PodTokens(listing);
    }

    /**
     * Stores fresh credentials.
     *
     * @param wanted whether a request asked for them, which counts as a use
     */
    void renewed(Credentials fresh, boolean wanted, RenewalPolicy policy, double random) {
        credentials = fresh;
        // Uses during the renewal count too.
        used |= wanted;
        failedRenewals = 0;
        lastFailure = Optional.empty();
        long now = fresh.fetchedAtNanos();
        renewAfter = policy.renewAfter(fresh, random);
        retryAt = now;
        shortLived = policy.longLived(fresh) ? 0 : shortLived + 1;
        heldUntil = shortLived > 1 ? now + policy.holdFor(fresh).toNanos() : now;
    }

    /** A call to renew it has been made. Only later uses count towards the next renewal. */
    void renewalBegan() {
        used = false;
    }

    void renewalFailed(Instant now, long nanos, RenewalPolicy policy, double random) {
        used = true;
        failedRenewals++;
        retryAt = nanos + policy.retryAfter(credentials, failedRenewals, now, random).toNanos();
    }

    /** @param number the sequence number of the use, higher than all before */
    void use(long number) {
        used = true;
        lastUse = number;
    }

    /** A request was served from it without a call. */
    void hit() {
        hits++;
    }

    /** A call for it has failed. */
    void failed(Instant now, EksAuthFailure failure) {
        lastFailure = Optional.of(new FailedCall(now, failure.code(), failure.explanation()));
    }

    /** Returns the number that orders entries by creation. */
    long number() {
        return number;
    }

    /** Returns the sequence number of its last use. */
    long lastUse() {
        return lastUse;
    }

    /** Returns whether the credentials can be served without asking for fresher ones. */
    boolean servable(Instant now, long nanos, RenewalPolicy policy) {
        return credentials.validAt(now, nanos) && (policy.fresh(credentials, now) || nanos - heldUntil < 0);
    }

    /** Returns whether the credentials were used, are due, and can be renewed with one of its tokens. */
    boolean due(Instant now, long nanos, RenewalPolicy policy, LivingPods living) {
        return used
                && nanos - retryAt >= 0
                && credentials.ageAt(now, nanos).compareTo(renewAfter) >= 0
                && renewable(now, policy, living).isPresent();
    }

    /**
     * Returns when it is due for renewal, which is in the past if the renewal is late. Empty if nobody has used it since the
     * last renewal, or if all its tokens expire earlier.
     */
    Optional<Instant> nextRenewal(Instant now, long nanos, RenewalPolicy policy, LivingPods living) {
        Duration untilDue = renewAfter.minus(credentials.ageAt(now, nanos));
        Duration untilRetry = Duration.ofNanos(retryAt - nanos);
        Instant next = now.plus(untilDue.compareTo(untilRetry) > 0 ? untilDue : untilRetry);
        return used && renewable(next.isAfter(now) ? next : now, policy, living).isPresent()
                ? Optional.of(next)
                : Optional.empty();
    }

    /** Returns how long it has been due, by its age alone; zero if it is not due or cannot be renewed. */
    Duration overdue(Instant now, long nanos, RenewalPolicy policy, LivingPods living) {
        Duration late = credentials.ageAt(now, nanos).minus(renewAfter);
        return used && late.compareTo(Duration.ZERO) > 0 && renewable(now, policy, living).isPresent()
                ? late
                : Duration.ZERO;
    }

    /** Returns what the debug routes show of it. */
    CachedIdentity shown(Optional<Instant> nextRenewal) {
        return CachedIdentity.of(identity, pods, credentials, nextRenewal, lastFailure, hits);
    }

    /** Returns the token for its renewal: the freshest one of a running pod. */
    Optional<Caller> renewable(Instant now, RenewalPolicy policy, LivingPods living) {
        return pods.freshest(
                caller -> policy.tokenUsable(caller.token().expiresAt(), now) && !caller.gone(living));
    }

    /**
     * Returns whether a request can still find it. Expired tokens are rejected, but a workload's pods have newer ones, and
     * find it as long as its credentials are valid.
     */
    boolean reachable(Instant now) {
        return !(identity instanceof Identity.ExactToken)
                || pods.all().stream().anyMatch(caller -> caller.token().expiresAt().isAfter(now));
    }

    /** Returns whether all its pods are known to be deleted. */
    boolean dead(LivingPods living) {
        return pods.all().stream().allMatch(caller -> caller.gone(living));
    }

    Identity identity() {
        return identity;
    }

    /** Returns its pods, whose changes the cache counts. */
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
