package dev.podidentity.agent.credentials;

import static dev.podidentity.agent.credentials.FakeEksAuth.DENIED;
import static dev.podidentity.agent.credentials.FakeEksAuth.UNAVAILABLE;
import static dev.podidentity.agent.credentials.TokenBuilder.token;
import static dev.podidentity.agent.testing.FakeTime.START;
import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.observe.CacheOutcome;
import dev.podidentity.agent.observe.EvictionCause;
import dev.podidentity.agent.observe.RenewalResult;
import dev.podidentity.agent.token.ServiceAccountToken;
import java.time.Duration;
import java.time.Instant;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

@ExtendWith(QuietLog.class)
class RenewerTest {

    private static final Duration SIX_HOURS = Duration.ofHours(6);
    /** When six-hour credentials are due for renewal if the jitter is zero. */
    private static final Duration DUE = Duration.ofHours(3);
    private static final Duration SECOND = Duration.ofSeconds(1);

    private final ServiceAccountToken a = token("a");
    private final ServiceAccountToken b = token("b");
    private final ServiceAccountToken c = token("c");
    private ServiceFixture fixture = new ServiceFixture();

    @AfterEach
    void nothingIsLeftOver() {
        fixture.settle();
    }

    // What is renewed, and when

    @Test
    void renewsAnEntryWhenItIsDueAndNotBefore() {
        // Given
        fixture.cached(a, SIX_HOURS);
        fixture.renewer.start();
        fixture.time.advance(DUE.minusSeconds(1));
        int before = fixture.calls();
        // When
        fixture.time.advance(SECOND);
        // Then
        assertThat(before).isEqualTo(1);
        assertThat(fixture.calls()).isEqualTo(2);
    }

    @Test
    void servesTheRenewedCredentials() {
        // Given
        fixture.cached(a, SIX_HOURS);
        fixture.renewer.start();
        fixture.time.advance(DUE);
        // When
        fixture.eksAuth.succeed(1, SIX_HOURS);
        RecordingAnswer client = fixture.ask(a);
        // Then
        assertThat(client.issuedByCall()).isEqualTo(1);
        assertThat(client.cache()).isEqualTo(CacheOutcome.HIT);
        assertThat(fixture.renewals(RenewalResult.SUCCESS)).isEqualTo(1);
        assertThat(fixture.inFlight()).isZero();
    }

    @Test
    void servesTheOldCredentialsAsAHitWhileTheyAreRenewed() {
        // Given
        Credentials old = fixture.cached(a, SIX_HOURS);
        fixture.renewer.start();
        fixture.time.advance(DUE);
        // When
        RecordingAnswer client = fixture.ask(a);
        // Then
        assertThat(fixture.inFlight()).isEqualTo(1);
        assertThat(client.credentials()).isSameAs(old);
        assertThat(client.cache()).isEqualTo(CacheOutcome.HIT);
    }

    @Test
    void renewsOnlyWhatWasUsedSinceTheLastRenewal() {
        // Given
        fixture.eksAuth.issueAtOnce(SIX_HOURS);
        fixture.ask(a);
        fixture.ask(b);
        fixture.renewer.start();
        fixture.time.advance(DUE);
        int first = fixture.calls();
        fixture.time.advance(Duration.ofHours(1));
        fixture.ask(b);
        // When
        fixture.time.advance(DUE);
        // Then
        assertThat(first).isEqualTo(4);
        assertThat(fixture.callsFor(a)).isEqualTo(2);
        assertThat(fixture.callsFor(b)).isEqualTo(3);
    }

    @Test
    void letsTheEntriesOfDeadPodsLeaveAtTheirExpiry() {
        // Given
        fixture.eksAuth.issueAtOnce(SIX_HOURS);
        IntStream.range(0, 20).forEach(i -> fixture.ask(token("dead-" + i)));
        fixture.renewer.start();
        fixture.time.advance(DUE.plusMinutes(1));
        int calls = fixture.calls();
        int entries = fixture.entries();
        // When
        fixture.time.advance(SIX_HOURS);
        // Then
        assertThat(calls).isEqualTo(40);
        assertThat(entries).isEqualTo(20);
        assertThat(fixture.calls()).isEqualTo(calls);
        assertThat(fixture.entries()).isZero();
        assertThat(fixture.bytes()).isZero();
        assertThat(fixture.evicted(EvictionCause.EXPIRED)).isEqualTo(20);
    }

    @Test
    void renewsWhatHasTheLeastTimeLeftFirst() {
        // Given
        fixture = new ServiceFixture(ServiceFixture.renewalsPerSecond(1));
        fixture.cached(a, SIX_HOURS);
        fixture.cached(b, Duration.ofHours(4));
        fixture.cached(c, Duration.ofHours(5));
        fixture.time.advance(DUE.plusMinutes(20));
        fixture.renewer.start();
        // When
        fixture.time.advance(Duration.ofSeconds(3));
        // Then
        assertThat(fixture.eksAuth.calls().subList(3, 6))
                .extracting(call -> call.token().raw())
                .containsExactly("b", "c", "a");
    }

    @Test
    void neverRenewsWithATokenThatExpires() {
        // Given
        ServiceAccountToken expiring = TokenBuilder.of("expiring").expiringAt(START.plus(DUE).plusSeconds(60)).build();
        ServiceAccountToken lasting = TokenBuilder.of("lasting").expiringAt(START.plus(DUE).plusSeconds(62)).build();
        fixture.cached(expiring, SIX_HOURS);
        fixture.cached(lasting, SIX_HOURS);
        fixture.renewer.start();
        // When
        fixture.time.advance(DUE.plusSeconds(90));
        // Then
        assertThat(fixture.callsFor(expiring)).isEqualTo(1);
        assertThat(fixture.callsFor(lasting)).isEqualTo(2);
        assertThat(fixture.evicted(EvictionCause.TOKEN_EXPIRED)).isEqualTo(2);
    }

    @Test
    void retriesNoRenewalOnceItsTokenIsAboutToExpire() {
        // Given
        Instant expiresAt = START.plus(DUE).plus(Duration.ofMinutes(10));
        ServiceAccountToken expiring = TokenBuilder.of("expiring").expiringAt(expiresAt).build();
        fixture.cached(expiring, SIX_HOURS);
        fixture.eksAuth.answerAtOnce(UNAVAILABLE);
        fixture.renewer.start();
        // When
        fixture.time.advance(SIX_HOURS);
        // Then
        assertThat(fixture.calls()).isGreaterThan(2);
        assertThat(fixture.eksAuth.last().at()).isBefore(expiresAt.minusSeconds(60));
        assertThat(fixture.entries()).isZero();
    }

    @Test
    void spreadsTheRenewalsOfCredentialsThatCameAtOnce() {
        // Given
        Random jitter = new Random(7);
        fixture = new ServiceFixture(ServiceFixture.renewalsPerSecond(1000));
        fixture.eksAuth.issueAtOnce(SIX_HOURS);
        for (int i = 0; i < 200; i++) {
            fixture.random = jitter.nextDouble();
            fixture.ask(token("token-" + i));
        }
        fixture.renewer.start();
        // When
        fixture.time.advance(Duration.ofMinutes(200));
        // Then
        Set<Instant> times = new HashSet<>();
        fixture.eksAuth.calls().subList(200, 400).forEach(call -> times.add(call.at()));
        assertThat(fixture.calls()).isEqualTo(400);
        assertThat(times).hasSizeGreaterThan(150);
        assertThat(times).allSatisfy(time -> assertThat(time)
                .isBetween(START.plus(Duration.ofMinutes(162)), START.plus(Duration.ofMinutes(198)).plus(SECOND)));
    }

    // The renewal rate

    @Test
    void startsNoMoreRenewalsASecondThanConfigured() {
        // Given
        fixture.eksAuth.issueAtOnce(SIX_HOURS);
        IntStream.range(0, 100).forEach(i -> fixture.ask(token("token-" + i)));
        fixture.renewer.start();
        // When
        fixture.time.advance(DUE.plusSeconds(40));
        // Then
        List<Instant> renewals = fixture.eksAuth.calls().stream()
                .map(FakeEksAuth.Call::at)
                .filter(at -> at.isAfter(START))
                .toList();
        assertThat(renewals).hasSize(100);
        for (int second = 0; second < 40; second++) {
            Instant from = START.plus(DUE).plusSeconds(second);
            assertThat(renewals.stream().filter(at -> !at.isBefore(from) && at.isBefore(from.plusSeconds(1))))
                    .hasSizeLessThanOrEqualTo(3);
        }
    }

    @Test
    void takesOnePermitForEachRenewal() {
        // Given
        fixture.eksAuth.issueAtOnce(SIX_HOURS);
        IntStream.range(0, 30).forEach(i -> fixture.ask(token("token-" + i)));
        fixture.time.advance(DUE);
        fixture.renewer.start();
        // When
        fixture.time.advance(Duration.ofSeconds(10));
        // Then
        assertThat(fixture.renewals(RenewalResult.SUCCESS)).isEqualTo(30);
    }

    @Test
    void takesNoPermitForWhatIsUnderWay() {
        // Given
        fixture = new ServiceFixture(ServiceFixture.renewalsPerSecond(1));
        fixture.cached(a, Duration.ofHours(5));
        fixture.cached(b, SIX_HOURS);
        fixture.time.advance(DUE.plusMinutes(30));
        fixture.renewer.start();
        // When
        fixture.time.advance(Duration.ofSeconds(2));
        // Then
        assertThat(fixture.callsFor(a)).isEqualTo(2);
        assertThat(fixture.callsFor(b)).isEqualTo(2);
    }

    @Test
    void neverKeepsAFirstFetchWaitingForRenewals() {
        // Given
        fixture.eksAuth.issueAtOnce(SIX_HOURS);
        IntStream.range(0, 2000).forEach(i -> fixture.ask(token("token-" + i)));
        fixture.time.advance(DUE);
        fixture.eksAuth.hang();
        fixture.renewer.start();
        fixture.time.advance(Duration.ofSeconds(14));
        int renewing = fixture.inFlight();
        // When
        RecordingAnswer client = fixture.ask(a);
        int callsAtOnce = fixture.callsFor(a);
        fixture.eksAuth.last().succeed(fixture.time.now().plus(SIX_HOURS));
        // Then
        assertThat(renewing).isEqualTo(42);
        assertThat(callsAtOnce).isEqualTo(1);
        assertThat(client.took()).isZero();
        assertThat(client.issuedFor()).isEqualTo("a");
    }

    @Test
    void renewsTwoThousandEntriesThatAreDueTogetherInElevenMinutes() {
        // Given
        fixture.eksAuth.issueAtOnce(SIX_HOURS);
        IntStream.range(0, 2000).forEach(i -> fixture.ask(token("token-" + i)));
        fixture.time.advance(DUE);
        fixture.renewer.start();
        // When
        fixture.time.advance(Duration.ofSeconds(667));
        // Then
        assertThat(fixture.renewals(RenewalResult.SUCCESS)).isEqualTo(2000);
    }

    @Test
    void neverRenewsWhenRenewalIsOffButStillDropsWhatExpired() {
        // Given
        fixture = new ServiceFixture(ServiceFixture.renewalsPerSecond(0));
        fixture.cached(a, SIX_HOURS);
        fixture.renewer.start();
        // When
        fixture.time.advance(SIX_HOURS);
        // Then
        assertThat(fixture.calls()).isEqualTo(1);
        assertThat(fixture.entries()).isZero();
    }

    // Failures

    @Test
    void backsOffWhileRenewalsFailAndKeepsServing() {
        // Given
        Credentials old = fixture.cached(a, SIX_HOURS);
        fixture.eksAuth.answerAtOnce(UNAVAILABLE);
        fixture.renewer.start();
        fixture.time.advance(DUE);
        // When
        for (int minute = 0; minute < 120; minute++) {
            fixture.time.advance(Duration.ofMinutes(1));
            RecordingAnswer client = fixture.ask(a);
            assertThat(client.cache()).isEqualTo(CacheOutcome.HIT);
            assertThat(client.credentials()).isSameAs(old);
        }
        // Then
        List<Long> pauses = IntStream.range(2, fixture.calls())
                .mapToObj(i -> Duration.between(
                                fixture.eksAuth.calls().get(i - 1).at(), fixture.eksAuth.calls().get(i).at())
                        .toSeconds())
                .toList();
        assertThat(pauses.subList(0, 8)).containsExactly(4L, 8L, 15L, 30L, 60L, 120L, 225L, 225L);
        assertThat(pauses).allSatisfy(pause -> assertThat(pause).isLessThanOrEqualTo(300));
        assertThat(fixture.renewals(RenewalResult.FAILED)).isEqualTo(fixture.calls() - 1);
        assertThat(fixture.count(
                        "pod_identity_cache_errors", "type", "Recoverable", "code", "ServiceUnavailableException"))
                .isEqualTo(fixture.calls() - 1);
    }

    @Test
    void makesOneAttemptForARenewalThatNobodyWaitsFor() {
        // Given
        fixture.cached(a, SIX_HOURS);
        fixture.renewer.start();
        fixture.time.advance(DUE);
        // When
        fixture.eksAuth.fail(1, UNAVAILABLE);
        fixture.time.advance(Duration.ofSeconds(3));
        // Then
        assertThat(fixture.calls()).isEqualTo(2);
    }

    @Test
    void startsTheBackOffAnewAfterASuccess() {
        // Given
        fixture.cached(a, SIX_HOURS);
        fixture.eksAuth.answerAtOnce(UNAVAILABLE);
        fixture.renewer.start();
        fixture.time.advance(DUE.plusSeconds(4));
        fixture.eksAuth.issueAtOnce(SIX_HOURS);
        fixture.time.advance(Duration.ofSeconds(8));
        fixture.ask(a);
        fixture.eksAuth.answerAtOnce(UNAVAILABLE);
        fixture.time.advance(DUE);
        int failed = fixture.renewals(RenewalResult.FAILED);
        // When
        fixture.time.advance(Duration.ofSeconds(4));
        // Then
        assertThat(fixture.renewals(RenewalResult.SUCCESS)).isEqualTo(1);
        assertThat(failed).isEqualTo(3);
        assertThat(fixture.renewals(RenewalResult.FAILED)).isEqualTo(4);
    }

    @Test
    void countsARenewalThatHangsAsFailedAndTriesItAgain() {
        // Given
        fixture.cached(a, SIX_HOURS);
        fixture.renewer.start();
        // When
        fixture.time.advance(DUE.plusSeconds(15));
        int failed = fixture.renewals(RenewalResult.FAILED);
        fixture.time.advance(Duration.ofSeconds(5));
        // Then
        assertThat(failed).isEqualTo(1);
        assertThat(fixture.calls()).isEqualTo(3);
        assertThat(fixture.ask(a).cache()).isEqualTo(CacheOutcome.HIT);
    }

    @Test
    void removesAnEntryWhoseRenewalIsRefused() {
        // Given
        fixture.cached(a, SIX_HOURS);
        fixture.renewer.start();
        fixture.time.advance(DUE);
        // When
        fixture.eksAuth.fail(1, DENIED);
        RecordingAnswer client = fixture.ask(a);
        // Then
        assertThat(client.failure()).isSameAs(DENIED);
        assertThat(fixture.entries()).isZero();
        assertThat(fixture.evicted(EvictionCause.REFUSED)).isEqualTo(1);
        assertThat(fixture.renewals(RenewalResult.REFUSED)).isEqualTo(1);
        assertThat(fixture.count(
                        "pod_identity_cache_errors", "type", "NonRecoverable", "code", "AccessDeniedException"))
                .isEqualTo(1);
    }

    // Requests during a renewal

    @Test
    void sharesTheCallOfARenewalWithARequest() {
        // Given
        fixture.cached(a, SIX_HOURS);
        fixture.time.advance(SIX_HOURS.minusMinutes(14));
        fixture.renewer.start();
        fixture.time.advance(SECOND);
        RecordingAnswer client = fixture.ask(a);
        // When
        fixture.eksAuth.succeed(1, SIX_HOURS);
        // Then
        assertThat(fixture.calls()).isEqualTo(2);
        assertThat(client.issuedByCall()).isEqualTo(1);
        assertThat(client.cache()).isEqualTo(CacheOutcome.COALESCED);
        assertThat(fixture.renewals(RenewalResult.SUCCESS)).isEqualTo(1);
    }

    @Test
    void sharesTheCallOfARequestWithTheRenewal() {
        // Given
        fixture.cached(a, SIX_HOURS);
        fixture.time.advance(SIX_HOURS.minusMinutes(14));
        RecordingAnswer client = fixture.ask(a);
        fixture.renewer.start();
        fixture.time.advance(Duration.ofSeconds(3));
        // When
        fixture.eksAuth.succeed(1, SIX_HOURS);
        // Then
        assertThat(fixture.calls()).isEqualTo(2);
        assertThat(client.cache()).isEqualTo(CacheOutcome.STALE);
        assertThat(fixture.renewals(RenewalResult.SUCCESS)).isZero();
    }

    @Test
    void retriesARenewalThatSomebodyWaitsFor() {
        // Given
        fixture.cached(a, SIX_HOURS);
        fixture.time.advance(SIX_HOURS.minusMillis(1200));
        fixture.renewer.start();
        fixture.time.advance(SECOND);
        fixture.time.advanceMillis(200);
        RecordingAnswer client = fixture.ask(a);
        fixture.eksAuth.fail(1, UNAVAILABLE);
        fixture.time.advance(ServiceFixture.FIRST_PAUSE);
        // When
        fixture.eksAuth.succeed(2, SIX_HOURS);
        // Then
        assertThat(client.issuedByCall()).isEqualTo(2);
        assertThat(client.took()).isEqualTo(ServiceFixture.FIRST_PAUSE);
    }

    @Test
    void countsARequestThatWaitedForTheRenewalAsAUse() {
        // Given
        fixture.cached(a, SIX_HOURS);
        fixture.time.advance(SIX_HOURS.minusMinutes(14));
        fixture.renewer.start();
        fixture.time.advance(SECOND);
        fixture.ask(a);
        fixture.eksAuth.succeed(1, SIX_HOURS);
        // When
        fixture.time.advance(DUE.plusSeconds(1));
        // Then
        assertThat(fixture.calls()).isEqualTo(3);
    }

    @Test
    void countsAsAUseWhatAClientAskedForThatWentAway() {
        // Given
        fixture.ask(a).abandon();
        fixture.eksAuth.succeed(0, SIX_HOURS);
        fixture.renewer.start();
        // When
        fixture.time.advance(DUE);
        // Then
        assertThat(fixture.calls()).isEqualTo(2);
    }

    // Startup and shutdown

    @Test
    void makesNoRenewalAfterItWasStopped() {
        // Given
        fixture.cached(a, SIX_HOURS);
        fixture.renewer.start();
        fixture.time.advance(DUE.minusSeconds(1));
        // When
        fixture.renewer.stop();
        fixture.time.advance(Duration.ofHours(1));
        // Then
        assertThat(fixture.calls()).isEqualTo(1);
        assertThat(fixture.time.pending()).isZero();
    }

    @Test
    void stopsBeforeItWasStarted() {
        // Given
        ServiceFixture other = new ServiceFixture();
        // When
        other.renewer.stop();
        // Then
        assertThat(other.time.pending()).isZero();
    }

    @Test
    void reportsWhenTheFirstCredentialsExpire() {
        // Given
        fixture.renewer.start();
        double whileEmpty = fixture.earliestExpirySeconds();
        fixture.cached(a, SIX_HOURS);
        fixture.cached(b, Duration.ofHours(2));
        // When
        fixture.time.advance(SECOND);
        // Then
        assertThat(whileEmpty).isNaN();
        assertThat(fixture.earliestExpirySeconds()).isEqualTo(7199);
    }

    @Test
    void countsAHitWhileARenewalIsUnderWayAsAUseSinceThatRenewal() {
        // Given
        fixture.cached(a, SIX_HOURS);
        fixture.renewer.start();
        fixture.time.advance(DUE);
        CacheOutcome hitMeanwhile = fixture.ask(a).cache();
        fixture.eksAuth.succeed(1, SIX_HOURS);
        // When
        fixture.time.advance(DUE.plusSeconds(1));
        // Then
        assertThat(hitMeanwhile).isEqualTo(CacheOutcome.HIT);
        assertThat(fixture.calls()).isEqualTo(3);
    }

    @Test
    void letsNoRenewalOfAnEvictedEntryEvictOneThatIsInUse() {
        // Given
        fixture = new ServiceFixture(ServiceFixture.cacheSize(2));
        fixture.cached(a, SIX_HOURS);
        fixture.cached(b, SIX_HOURS.plusHours(1));
        fixture.renewer.start();
        fixture.time.advance(DUE);
        // a, the least recently used entry, is evicted during its renewal
        fixture.ask(c);
        fixture.eksAuth.last().succeed(fixture.time.now().plus(SIX_HOURS));
        // When
        fixture.eksAuth.open().stream().filter(call -> call.token().equals(a)).toList()
                .forEach(call -> call.succeed(fixture.time.now().plus(SIX_HOURS)));
        // Then
        assertThat(fixture.evicted(EvictionCause.SIZE)).isEqualTo(1);
        assertThat(fixture.ask(b).cache()).isEqualTo(CacheOutcome.HIT);
    }

    // Overdue renewals

    @Test
    void showsHowLateRenewalsAre() {
        // Given
        fixture.eksAuth.issueAtOnce(SIX_HOURS);
        fixture.ask(a);
        fixture.ask(b);
        fixture.renewer.start();
        fixture.time.advance(DUE.minusSeconds(1));
        double before = fixture.renewalLagSeconds();
        // When
        fixture.eksAuth.answerAtOnce(UNAVAILABLE);
        fixture.time.advance(Duration.ofMinutes(10));
        // Then
        assertThat(before).isZero();
        assertThat(fixture.overdueRenewals()).isEqualTo(2);
        assertThat(fixture.renewalLagSeconds()).isBetween(590.0, 600.0);
        // When
        fixture.eksAuth.issueAtOnce(SIX_HOURS);
        fixture.time.advance(Duration.ofMinutes(10));
        // Then
        assertThat(fixture.overdueRenewals()).isZero();
        assertThat(fixture.renewalLagSeconds()).isZero();
    }

    @Test
    void doesNotCallLateWhatNobodyHasAskedFor() {
        // Given
        fixture.eksAuth.issueAtOnce(SIX_HOURS);
        fixture.ask(a);
        fixture.renewer.start();
        fixture.time.advance(DUE.plusMinutes(1));
        // When: the renewed credentials are due again
        fixture.time.advance(DUE.plusMinutes(1));
        // Then
        assertThat(fixture.calls()).isEqualTo(2);
        assertThat(fixture.overdueRenewals()).isZero();
    }
}
