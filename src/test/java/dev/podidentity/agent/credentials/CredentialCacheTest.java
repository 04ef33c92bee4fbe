package dev.podidentity.agent.credentials;

import static dev.podidentity.agent.credentials.TokenBuilder.token;
import static dev.podidentity.agent.credentials.TokenBuilder.unverified;
import static dev.podidentity.agent.testing.FakeTime.START;
import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.config.CoalesceScope;
import dev.podidentity.agent.observe.BuildInfo;
import dev.podidentity.agent.observe.EvictionCause;
import dev.podidentity.agent.observe.Metrics;
import dev.podidentity.agent.token.ServiceAccountToken;
import dev.podidentity.agent.verification.LivingPods;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

class CredentialCacheTest {

    private static final RenewalPolicy POLICY = new RenewalPolicy(Duration.ofHours(3));
    private static final Instant SIX_HOURS = START.plus(Duration.ofHours(6));
    /** The bytes that a token adds to an entry when its pod's name is one letter long. */
    private static final int PER_TOKEN = 192 + "p-uid/1".length();

    private final SimpleMeterRegistry registry = new SimpleMeterRegistry();
    private final Metrics metrics =
            new Metrics(registry, new BuildInfo("test"), Clock.fixed(START, ZoneOffset.UTC));
    private final TokenIndex index = new TokenIndex(1);
    private final CredentialCache cache = new CredentialCache(3, index, metrics);
    private final ServiceAccountToken a = token("a");
    private final ServiceAccountToken b = token("b");
    private final ServiceAccountToken c = token("c");
    private final ServiceAccountToken d = token("d");

    @Test
    void findsWhatWasStored() {
        // Given
        Credentials credentials = credentials(SIX_HOURS);
        cache.store(Identity.of(a), List.of(unverified(a)), credentials, true, POLICY, 0.5);
        // When
        CacheEntry used = cache.use(unverified(a));
        // Then
        assertThat(used.credentials()).isSameAs(credentials);
        assertThat(used.pods().all()).extracting(Caller::token).containsExactly(a);
        assertThat(cache.find(Identity.of(a))).containsSame(used);
    }

    @Test
    void hasNothingForAnotherToken() {
        // Given
        store(a);
        // When
        CacheEntry used = cache.use(unverified(b));
        // Then
        assertThat(used).isNull();
        assertThat(cache.find(Identity.of(b))).isEmpty();
    }

    @Test
    void evictsTheEntryLeastRecentlyUsedAndNotTheFirstInserted() {
        // Given
        store(a, b, c);
        cache.use(unverified(a));
        // When
        store(d);
        // Then
        assertHolds(a, c, d);
        assertThat(evicted(EvictionCause.SIZE)).isEqualTo(1);
    }

    @Test
    void evictsInTheOrderOfUse() {
        // Given
        store(a, b, c);
        cache.use(unverified(b));
        cache.use(unverified(a));
        cache.use(unverified(c));
        // When
        store(d, token("e"));
        // Then
        assertHolds(c, d, token("e"));
    }

    @Test
    void takesARenewalForNoUse() {
        // Given
        store(a, b, c);
        cache.store(Identity.of(a), List.of(unverified(a)), credentials(SIX_HOURS), false, POLICY, 0.5);
        // When
        store(d);
        // Then
        assertHolds(b, c, d);
    }

    @Test
    void takesALookForNoUse() {
        // Given
        store(a, b, c);
        cache.find(Identity.of(a));
        cache.entries().forEach(CacheEntry::credentials);
        // When
        store(d);
        // Then
        assertHolds(b, c, d);
    }

    @Test
    void replacesCredentialsWithoutEvictingWhenItIsFull() {
        // Given
        store(a, b, c);
        Credentials renewed = credentials(SIX_HOURS.plusSeconds(1));
        // When
        cache.store(Identity.of(b), List.of(unverified(b)), renewed, true, POLICY, 0.5);
        // Then
        assertHolds(a, b, c);
        assertThat(cache.use(unverified(b)).credentials()).isSameAs(renewed);
        assertThat(evicted(EvictionCause.SIZE)).isZero();
    }

    @Test
    void keepsNothingWithACapacityOfZero() {
        // Given
        CredentialCache none = new CredentialCache(0, index, metrics);
        // When
        none.store(Identity.of(a), List.of(unverified(a)), credentials(SIX_HOURS), true, POLICY, 0.5);
        // Then
        assertThat(none.use(unverified(a))).isNull();
        assertThat(none.entries()).isEmpty();
        assertThat(evicted(EvictionCause.SIZE)).isZero();
    }

    @Test
    void neverExceedsItsCapacity() {
        // Given
        int stored = 50;
        // When
        for (int i = 0; i < stored; i++) {
            store(token("token-" + i));
            // Then
            assertThat(cache.entries()).hasSizeLessThanOrEqualTo(3);
        }
        assertThat(evicted(EvictionCause.SIZE)).isEqualTo(47);
    }

    @Test
    void countsBytesUpAndDownToZero() {
        // Given
        store(a);
        long one = bytes();
        store(token("a-longer-token"));
        long two = bytes();
        // When
        Credentials larger = new Credentials(EncodedAnswer.of(new byte[1000]), START, 0, SIX_HOURS, "role");
        cache.store(Identity.of(a), List.of(unverified(a)), larger, true, POLICY, 0.5);
        long grown = bytes();
        cache.remove(Identity.of(token("a-longer-token")), EvictionCause.REFUSED);
        removeExpired(SIX_HOURS);
        // Then
        assertThat(one).isPositive();
        assertThat(two).isGreaterThan(2 * one);
        assertThat(grown).isEqualTo(two + 1000 - 2 + "1000".length() - "2".length());
        assertThat(bytes()).isZero();
        assertThat(gauge("pod_identity_cache_entries")).isZero();
    }

    @Test
    void countsTheBytesOfEvictedEntriesNoMore() {
        // Given
        store(a, b, c);
        long full = bytes();
        // When
        store(d);
        // Then
        assertThat(bytes()).isEqualTo(full);
        assertThat(gauge("pod_identity_cache_entries")).isEqualTo(3);
    }

    @Test
    void dropsCredentialsInTheInstantOfTheirExpiry() {
        // Given
        store(a);
        // When
        removeExpired(SIX_HOURS.minusNanos(1));
        boolean before = cache.find(Identity.of(a)).isPresent();
        removeExpired(SIX_HOURS);
        boolean after = cache.find(Identity.of(a)).isPresent();
        // Then
        assertThat(before).isTrue();
        assertThat(after).isFalse();
        assertThat(evicted(EvictionCause.EXPIRED)).isEqualTo(1);
        assertThat(evicted(EvictionCause.TOKEN_EXPIRED)).isZero();
    }

    @Test
    void dropsAnEntryWhoseTokenExpired() {
        // Given
        ServiceAccountToken hour = TokenBuilder.of("hour").expiringAt(START.plusSeconds(3600)).build();
        store(hour, a);
        // When
        removeExpired(START.plusSeconds(3600));
        // Then
        assertHolds(a);
        assertThat(evicted(EvictionCause.TOKEN_EXPIRED)).isEqualTo(1);
        assertThat(evicted(EvictionCause.EXPIRED)).isZero();
    }

    @Test
    void countsAnEntryOnceWhoseCredentialsAndTokenExpired() {
        // Given
        store(TokenBuilder.of("six").expiringAt(SIX_HOURS).build());
        // When
        removeExpired(SIX_HOURS);
        // Then
        assertThat(evicted(EvictionCause.EXPIRED) + evicted(EvictionCause.TOKEN_EXPIRED)).isEqualTo(1);
        assertThat(bytes()).isZero();
    }

    @Test
    void countsEveryCauseAndTheReferencesEvictions() {
        // Given
        store(a, b, c, d);
        // When
        cache.remove(Identity.of(b), EvictionCause.REFUSED);
        cache.remove(Identity.of(b), EvictionCause.REFUSED);
        removeExpired(SIX_HOURS);
        // Then
        assertThat(evicted(EvictionCause.SIZE)).isEqualTo(1);
        assertThat(evicted(EvictionCause.REFUSED)).isEqualTo(1);
        assertThat(evicted(EvictionCause.EXPIRED)).isEqualTo(2);
        assertThat(registry.get("pod_identity_cache_state").tag("state", "evicted").counter().count())
                .isEqualTo(4);
    }

    // Entries that pods share

    @Test
    void learnsTheTokenOfEveryPodThatAsks() {
        // Given
        store(shared("p", 1, 10));
        long one = bytes();
        // When
        cache.use(shared("q", 1, 10));
        cache.use(shared("p", 2, 20));
        // Then
        assertThat(onlyEntry().pods().all()).containsExactlyInAnyOrder(shared("p", 2, 20), shared("q", 1, 10));
        assertThat(cache.tokens()).isEqualTo(2);
        assertThat(bytes()).isEqualTo(one + PER_TOKEN);
    }

    @Test
    void mergesThePodsOfACallIntoTheEntry() {
        // Given
        store(shared("p", 1, 10));
        // When
        store(shared("q", 1, 10));
        // Then
        assertThat(onlyEntry().pods().size()).isEqualTo(2);
        assertThat(cache.tokens()).isEqualTo(2);
    }

    @Test
    void keepsNothingThatNoLivingPodHasAskedFor() {
        // Given
        Caller caller = shared("p", 1, 10);
        // When
        cache.store(caller.identity(), List.of(), credentials(SIX_HOURS), true, POLICY, 0.5);
        // Then
        assertThat(cache.entries()).isEmpty();
    }

    @Test
    void dropsAnEntryWithTheLastPodOfIt() {
        // Given
        store(shared("p", 1, 10));
        cache.use(shared("q", 1, 10));
        store(a);
        // When
        cache.podGone("p-uid", LivingPods.UNWATCHED);
        int afterTheFirst = cache.entries().size();
        cache.podGone("q-uid", LivingPods.UNWATCHED);
        cache.podGone("q-uid", LivingPods.UNWATCHED);
        // Then
        assertThat(afterTheFirst).isEqualTo(2);
        assertHolds(a);
        assertThat(evicted(EvictionCause.POD_GONE)).isEqualTo(1);
        assertThat(cache.tokens()).isEqualTo(1);
    }

    @Test
    void dropsAnEntryWhoseOtherPodsAreKnownToBeGone() {
        // Given
        store(shared("p", 1, 10));
        cache.use(shared("q", 1, 10));
        // When
        cache.podGone("p-uid", (podUid, issuedAt) -> podUid.equals("q-uid"));
        // Then
        assertThat(cache.entries()).isEmpty();
        assertThat(bytes()).isZero();
    }

    @Test
    void dropsEveryEntryOfAnExactTokenOfAPodThatDied() {
        // Given
        Pod pod = Pod.of("p");
        store(pod.token(1, SIX_HOURS), pod.token(2, SIX_HOURS), Pod.of("q").token(1, SIX_HOURS));
        // When
        cache.podGone("p-uid", LivingPods.UNWATCHED);
        // Then
        assertHolds(Pod.of("q").token(1, SIX_HOURS));
        assertThat(evicted(EvictionCause.POD_GONE)).isEqualTo(2);
    }

    @Test
    void dropsAnEntryWithTheLastTokenThatEksAuthHasNotRefused() {
        // Given
        store(shared("p", 1, 10));
        cache.use(shared("q", 1, 10));
        // When
        cache.refused(shared("p", 1, 10));
        cache.refused(shared("p", 1, 10));
        int afterTheFirst = cache.entries().size();
        cache.refused(shared("q", 1, 10));
        // Then
        assertThat(afterTheFirst).isEqualTo(1);
        assertThat(cache.entries()).isEmpty();
        assertThat(evicted(EvictionCause.REFUSED)).isEqualTo(1);
        assertThat(bytes()).isZero();
        assertThat(cache.tokens()).isZero();
    }

    @Test
    void keepsAWorkloadsEntryWhenItsTokenExpiresAsTheNextOneFindsIt() {
        // Given
        store(shared("p", 1, 1));
        // When
        removeExpired(START.plus(Duration.ofHours(2)));
        // Then
        assertThat(cache.use(shared("p", 2, 25))).isNotNull();
        assertThat(evicted(EvictionCause.TOKEN_EXPIRED)).isZero();
    }

    @Test
    void forgetsPodsWithExpiredTokensAndTheirBytes() {
        // Given
        store(shared("p", 1, 1));
        long one = bytes();
        cache.use(shared("q", 1, 3));
        // When
        removeExpired(START.plus(Duration.ofHours(2)));
        // Then
        assertThat(onlyEntry().pods().all()).containsExactly(shared("q", 1, 3));
        assertThat(bytes()).isEqualTo(one);
    }

    @Test
    void boundsAllTokensAndForgetsThoseOfTheEntryWithTheMost() {
        // Given
        Pod lonely = new Pod("shop", "lonely", "lonely-uid", "lonely", "lonely-pod");
        store(lonely.verified(CoalesceScope.ROLE));
        store(shared("first", 1, 10));
        // When
        for (int i = 0; i < 1000; i++) {
            cache.use(shared(String.format("pod-%03d", i), 1, 10));
        }
        // Then
        assertThat(cache.tokens()).isEqualTo(256);
        assertThat(cache.find(lonely.verified(CoalesceScope.ROLE).identity()).orElseThrow().pods().size()).isEqualTo(1);
        PodTokens crowd = cache.find(shared("first", 1, 10).identity()).orElseThrow().pods();
        assertThat(crowd.size()).isEqualTo(255);
        assertThat(crowd.has("first-uid")).isFalse();
        assertThat(crowd.has("pod-744-uid")).isFalse();
        assertThat(crowd.has("pod-745-uid")).isTrue();
    }

    @Test
    void countsTheBytesOfForgottenTokensNoMore() {
        // Given
        store(shared("pod-000", 1, 10));
        long one = bytes();
        for (int i = 1; i < 256; i++) {
            cache.use(shared(String.format("pod-%03d", i), 1, 10));
        }
        long full = bytes();
        // When
        cache.use(shared("pod-256", 1, 10));
        long still = bytes();
        cache.remove(shared("pod-256", 1, 10).identity(), EvictionCause.REFUSED);
        // Then
        assertThat(full).isEqualTo(one + 255 * (PER_TOKEN + "od-000".length()));
        assertThat(still).isEqualTo(full);
        assertThat(bytes()).isZero();
    }

    private static Caller shared(String pod, int number, int hoursLeft) {
        return Pod.of(pod).verified(CoalesceScope.ROLE, number, START.plus(Duration.ofHours(hoursLeft)));
    }

    private CacheEntry onlyEntry() {
        assertThat(cache.entries()).hasSize(1);
        return cache.entries().iterator().next();
    }

    private void store(Caller caller) {
        cache.store(caller.identity(), List.of(caller), credentials(SIX_HOURS), true, POLICY, 0.5);
    }

    private void store(ServiceAccountToken... tokens) {
        for (ServiceAccountToken token : tokens) {
            cache.store(Identity.of(token), List.of(unverified(token)), credentials(SIX_HOURS), true, POLICY, 0.5);
        }
    }

    private void assertHolds(ServiceAccountToken... tokens) {
        assertThat(cache.entries())
                .extracting(CacheEntry::identity)
                .containsExactlyInAnyOrderElementsOf(Arrays.stream(tokens).map(Identity::of).toList());
    }

    private double evicted(EvictionCause cause) {
        return registry.get("pod_identity_cache_evictions").tag("cause", cause.label()).counter().count();
    }

    private long bytes() {
        return gauge("pod_identity_cache_size");
    }

    private long gauge(String name) {
        return (long) registry.get(name).gauge().value();
    }

    private static Credentials credentials(Instant expiration) {
        return new Credentials(EncodedAnswer.of("{}".getBytes(StandardCharsets.UTF_8)), START, 0, expiration, "role");
    }

    private void removeExpired(Instant now) {
        cache.removeExpired(now, Duration.between(START, now).toNanos(), LivingPods.UNWATCHED);
    }
}
