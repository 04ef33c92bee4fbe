package dev.podidentity.agent.credentials;

import static dev.podidentity.agent.config.CoalesceScope.POD;
import static dev.podidentity.agent.config.CoalesceScope.ROLE;
import static dev.podidentity.agent.config.CoalesceScope.TOKEN;
import static dev.podidentity.agent.credentials.FakeEksAuth.BAD_TOKEN;
import static dev.podidentity.agent.credentials.FakeEksAuth.DENIED;
import static dev.podidentity.agent.credentials.FakeEksAuth.UNAVAILABLE;
import static dev.podidentity.agent.credentials.ServiceFixture.DEADLINE;
import static dev.podidentity.agent.credentials.ServiceFixture.FLIGHT_TIMEOUT;
import static dev.podidentity.agent.testing.FakeTime.START;
import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.config.CoalesceScope;
import dev.podidentity.agent.eksauth.PermanentFailure;
import dev.podidentity.agent.eksauth.TransientFailure;
import dev.podidentity.agent.observe.CacheOutcome;
import dev.podidentity.agent.observe.EvictionCause;
import dev.podidentity.agent.observe.RenewalResult;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Tests what pods of one identity share, and that none of them can harm another. */
@ExtendWith(QuietLog.class)
class SharedCredentialsTest {

    private static final Duration SIX_HOURS = Duration.ofHours(6);
    /** When six-hour credentials are due for renewal if the jitter is zero. */
    private static final Duration DUE = Duration.ofHours(3);
    private static final PermanentFailure EXPIRED =
            new PermanentFailure(PermanentFailure.Reason.EXPIRED_TOKEN, "Read the token file again");

    private final Pod a = Pod.of("a");
    private final Pod b = Pod.of("b");
    private final Pod c = Pod.of("c");
    private ServiceFixture fixture = new ServiceFixture();

    @AfterEach
    void nothingIsLeftOver() {
        fixture.settle();
    }

    // Which callers share

    @Test
    void makesOneCallForAllPodsOfAServiceAccount() {
        // Given
        List<RecordingAnswer> clients = IntStream.range(0, 100)
                .mapToObj(i -> fixture.ask(Pod.of("pod-" + i).verified(ROLE), "10.0.0." + i))
                .toList();
        // When
        fixture.eksAuth.succeed(0, SIX_HOURS);
        RecordingAnswer later = fixture.ask(a.verified(ROLE));
        // Then
        assertThat(fixture.calls()).isEqualTo(1);
        assertThat(fixture.entries()).isEqualTo(1);
        Credentials first = clients.get(0).credentials();
        assertThat(clients).allSatisfy(client -> assertThat(client.credentials()).isSameAs(first));
        assertThat(later.cache()).isEqualTo(CacheOutcome.HIT);
    }

    @ParameterizedTest
    @EnumSource(value = CoalesceScope.class, names = {"TOKEN", "POD"})
    void makesACallForEachPodInTheOtherScopes(CoalesceScope scope) {
        // Given
        fixture.eksAuth.issueAtOnce(SIX_HOURS);
        // When
        RecordingAnswer ofA = fixture.ask(a.verified(scope));
        RecordingAnswer ofB = fixture.ask(b.verified(scope));
        // Then
        assertThat(ofA.issuedFor()).isEqualTo("a-uid/1");
        assertThat(ofB.issuedFor()).isEqualTo("b-uid/1");
        assertThat(fixture.calls()).isEqualTo(2);
    }

    @ParameterizedTest
    @EnumSource
    void sharesNothingWithATokenThatNobodyVerified(CoalesceScope scope) {
        // Given
        fixture.cached(a.verified(scope, 2, START.plus(SIX_HOURS)), SIX_HOURS);
        // When
        RecordingAnswer forger = fixture.ask(a.unverified(scope));
        fixture.eksAuth.fail(1, BAD_TOKEN);
        // Then
        assertThat(forger.failure()).isSameAs(BAD_TOKEN);
        assertThat(fixture.entries()).isEqualTo(1);
        assertThat(fixture.ask(a.verified(scope, 2, START.plus(SIX_HOURS))).cache()).isEqualTo(CacheOutcome.HIT);
    }

    @Test
    void asksForAPodItselfWhileNobodyCanVerifyItsToken() {
        // Given
        fixture.eksAuth.issueAtOnce(SIX_HOURS);
        fixture.ask(b.verified(ROLE));
        // When
        RecordingAnswer fallback = fixture.ask(a.unverified(ROLE));
        RecordingAnswer verified = fixture.ask(a.verified(ROLE));
        // Then
        assertThat(fallback.issuedFor()).isEqualTo("a-uid/1");
        assertThat(verified.issuedFor()).isEqualTo("b-uid/1");
    }

    // Rotation

    @ParameterizedTest
    @EnumSource(value = CoalesceScope.class, names = {"POD", "ROLE"})
    void findsAPodsCredentialsByItsRotatedToken(CoalesceScope scope) {
        // Given
        fixture.cached(a.verified(scope), SIX_HOURS);
        // When
        RecordingAnswer rotated = fixture.ask(a.verified(scope, 2, START.plus(Duration.ofHours(43))));
        RecordingAnswer old = fixture.ask(a.verified(scope));
        // Then
        assertThat(rotated.cache()).isEqualTo(CacheOutcome.HIT);
        assertThat(old.cache()).isEqualTo(CacheOutcome.HIT);
        assertThat(fixture.calls()).isEqualTo(1);
    }

    @Test
    void needsACallForARotatedTokenInTheScopeOfATokenAsTheReferenceDoes() {
        // Given
        fixture.cached(a.verified(TOKEN), SIX_HOURS);
        // When
        RecordingAnswer rotated = fixture.ask(a.verified(TOKEN, 2, START.plus(Duration.ofHours(43))));
        fixture.eksAuth.succeed(1, SIX_HOURS);
        // Then
        assertThat(rotated.issuedFor()).isEqualTo("a-uid/2");
    }

    @ParameterizedTest
    @EnumSource(value = CoalesceScope.class, names = {"POD", "ROLE"})
    void survivesAnOutageOfEksAuthAtRotationEvenWhenTheOldTokenHasExpired(CoalesceScope scope) {
        // Given
        fixture.renewer.start();
        fixture.cached(a.verified(scope, 1, START.plus(Duration.ofHours(4))), Duration.ofHours(12));
        fixture.eksAuth.answerAtOnce(UNAVAILABLE);
        fixture.time.advance(Duration.ofHours(5));
        // When
        RecordingAnswer rotated = fixture.ask(a.verified(scope, 2, START.plus(Duration.ofHours(29))));
        // Then
        assertThat(rotated.cache()).isEqualTo(CacheOutcome.HIT);
        assertThat(fixture.evicted(EvictionCause.TOKEN_EXPIRED)).isZero();
    }

    @ParameterizedTest
    @EnumSource(value = CoalesceScope.class, names = {"POD", "ROLE"})
    void renewsWithTheRotatedTokenThatItSawInAHit(CoalesceScope scope) {
        // Given
        fixture.eksAuth.issueAtOnce(SIX_HOURS);
        fixture.renewer.start();
        fixture.ask(a.verified(scope, 1, START.plus(Duration.ofHours(24))));
        fixture.ask(a.verified(scope, 2, START.plus(Duration.ofHours(43))));
        fixture.ask(a.verified(scope, 1, START.plus(Duration.ofHours(24))));
        // When
        fixture.time.advance(DUE);
        // Then
        assertThat(fixture.eksAuth.last().token().raw()).isEqualTo("a-uid/2");
        assertThat(fixture.renewals(RenewalResult.SUCCESS)).isEqualTo(1);
    }

    // Renewal

    @Test
    void renewsOneEntryForAllOfItsPods() {
        // Given
        fixture.eksAuth.issueAtOnce(SIX_HOURS);
        fixture.renewer.start();
        List<Caller> callers = IntStream.range(0, 50)
                .mapToObj(i -> Pod.of("pod-" + i).verified(ROLE))
                .toList();
        callers.forEach(fixture::ask);
        // When
        fixture.time.advance(DUE);
        // Then
        assertThat(fixture.calls()).isEqualTo(2);
        assertThat(callers).allSatisfy(caller -> assertThat(fixture.ask(caller).issuedByCall()).isEqualTo(1));
    }

    @Test
    void renewsWithTheFreshestTokenOfAllPods() {
        // Given
        fixture.eksAuth.issueAtOnce(SIX_HOURS);
        fixture.renewer.start();
        fixture.ask(a.verified(ROLE, 1, START.plus(Duration.ofHours(20))));
        fixture.ask(b.verified(ROLE, 1, START.plus(Duration.ofHours(24))));
        fixture.ask(c.verified(ROLE, 1, START.plus(Duration.ofHours(22))));
        // When
        fixture.time.advance(DUE);
        // Then
        assertThat(fixture.eksAuth.last().token().raw()).isEqualTo("b-uid/1");
    }

    @Test
    void doesNotRenewWithATokenThatIsAboutToExpire() {
        // Given
        fixture.eksAuth.issueAtOnce(SIX_HOURS);
        fixture.renewer.start();
        fixture.ask(a.verified(ROLE, 1, START.plus(DUE).plusSeconds(60)));
        // When
        fixture.time.advance(DUE);
        int without = fixture.calls();
        fixture.ask(a.verified(ROLE, 2, START.plus(Duration.ofHours(24))));
        fixture.time.advance(Duration.ofSeconds(1));
        // Then
        assertThat(without).isEqualTo(1);
        assertThat(fixture.eksAuth.last().token().raw()).isEqualTo("a-uid/2");
    }

    // Failures of one pod's token

    @Test
    void goesOnWithAnotherPodsTokenWhenTheFirstIsRefused() {
        // Given
        RecordingAnswer ofA = fixture.ask(a.verified(ROLE), "10.0.0.1");
        RecordingAnswer ofB = fixture.ask(b.verified(ROLE), "10.0.0.2");
        // When
        fixture.eksAuth.fail(0, BAD_TOKEN);
        fixture.eksAuth.succeed(1, SIX_HOURS);
        // Then
        assertThat(ofA.failure()).isSameAs(BAD_TOKEN);
        assertThat(ofA.took()).isZero();
        assertThat(ofB.issuedFor()).isEqualTo("b-uid/1");
        assertThat(fixture.ask(b.verified(ROLE)).cache()).isEqualTo(CacheOutcome.HIT);
    }

    @Test
    void givesATokenThatEksAuthHasRefusedNothingThatOthersShare() {
        // Given
        fixture.ask(a.verified(ROLE), "10.0.0.1");
        fixture.ask(b.verified(ROLE), "10.0.0.2");
        fixture.eksAuth.fail(0, BAD_TOKEN);
        fixture.eksAuth.succeed(1, SIX_HOURS);
        // When
        fixture.time.advance(Duration.ofHours(1));
        RecordingAnswer again = fixture.ask(a.verified(ROLE));
        // Then
        assertThat(again.failure()).isSameAs(BAD_TOKEN);
        assertThat(again.cache()).isEqualTo(CacheOutcome.REMEMBERED);
        assertThat(fixture.service.entries()).singleElement().satisfies(entry -> {
            assertThat(entry.pods().has("a-uid")).isFalse();
            assertThat(entry.pods().has("b-uid")).isTrue();
        });
        assertThat(fixture.calls()).isEqualTo(2);
    }

    @Test
    void givesThePodOfARefusedTokenCredentialsForItsNextOne() {
        // Given
        fixture.ask(a.verified(ROLE), "10.0.0.1");
        fixture.ask(b.verified(ROLE), "10.0.0.2");
        fixture.eksAuth.fail(0, BAD_TOKEN);
        fixture.eksAuth.succeed(1, SIX_HOURS);
        // When
        RecordingAnswer rotated = fixture.ask(a.verified(ROLE, 2, START.plus(Duration.ofHours(30))));
        // Then
        assertThat(rotated.cache()).isEqualTo(CacheOutcome.HIT);
    }

    @Test
    void doesNotGoOnWithATokenThatHasExpired() {
        // Given
        fixture.cached(b.verified(ROLE, 1, START.plus(Duration.ofHours(4))), Duration.ofHours(4).plusMinutes(10));
        fixture.time.advance(Duration.ofHours(4));
        RecordingAnswer ofA = fixture.ask(a.verified(ROLE));
        // When
        fixture.eksAuth.fail(1, BAD_TOKEN);
        // Then
        assertThat(ofA.failure()).isSameAs(BAD_TOKEN);
        assertThat(fixture.calls()).isEqualTo(2);
    }

    @Test
    void tellsEachPodOfItsOwnTokenWhenAllAreRefused() {
        // Given
        RecordingAnswer ofA = fixture.ask(a.verified(ROLE));
        RecordingAnswer ofB = fixture.ask(b.verified(ROLE));
        // When
        fixture.eksAuth.fail(0, BAD_TOKEN);
        fixture.eksAuth.fail(1, EXPIRED);
        // Then
        assertThat(ofA.failure()).isSameAs(BAD_TOKEN);
        assertThat(ofB.failure()).isSameAs(EXPIRED);
        assertThat(fixture.calls()).isEqualTo(2);
    }

    @Test
    void remembersARefusalOfThatTokenOnly() {
        // Given
        RecordingAnswer ofA = fixture.ask(a.verified(ROLE));
        fixture.eksAuth.fail(0, BAD_TOKEN);
        // When
        RecordingAnswer again = fixture.ask(a.verified(ROLE));
        RecordingAnswer ofB = fixture.ask(b.verified(ROLE));
        fixture.eksAuth.succeed(1, SIX_HOURS);
        // Then
        assertThat(ofA.failure()).isSameAs(BAD_TOKEN);
        assertThat(again.failure()).isSameAs(BAD_TOKEN);
        assertThat(again.cache()).isEqualTo(CacheOutcome.REMEMBERED);
        assertThat(ofB.issuedFor()).isEqualTo("b-uid/1");
        assertThat(fixture.calls()).isEqualTo(2);
    }

    @Test
    void remembersForAllWhatIsWrongWithTheirServiceAccount() {
        // Given
        fixture.ask(a.verified(ROLE));
        fixture.eksAuth.fail(0, DENIED);
        // When
        RecordingAnswer ofB = fixture.ask(b.verified(ROLE));
        // Then
        assertThat(ofB.failure()).isSameAs(DENIED);
        assertThat(ofB.cache()).isEqualTo(CacheOutcome.REMEMBERED);
        assertThat(fixture.calls()).isEqualTo(1);
    }

    @Test
    void neverTellsAPodOfAnothersTokenAtItsDeadline() {
        // Given
        fixture.ask(a.verified(ROLE));
        RecordingAnswer ofB = fixture.ask(b.verified(ROLE));
        fixture.eksAuth.fail(0, BAD_TOKEN);
        // When
        fixture.time.advance(DEADLINE);
        // Then
        assertThat(ofB.failure()).isInstanceOf(TransientFailure.class);
    }

    @Test
    void triesAFewTokensAndLetsTheOthersTryAgain() {
        // Given
        fixture.eksAuth.hang();
        List<RecordingAnswer> clients = IntStream.range(0, 9)
                .mapToObj(i -> fixture.ask(Pod.of("pod-" + i).verified(ROLE, 1, START.plusSeconds(3600 - i))))
                .toList();
        for (int i = 0; i < 5; i++) {
            fixture.eksAuth.fail(i, BAD_TOKEN);
        }
        // When
        RecordingAnswer again = fixture.ask(Pod.of("pod-5").verified(ROLE, 1, START.plusSeconds(3595)));
        fixture.eksAuth.succeed(5, SIX_HOURS);
        // Then
        assertThat(clients.subList(0, 5)).allSatisfy(client -> assertThat(client.failure()).isSameAs(BAD_TOKEN));
        assertThat(clients.subList(5, 9))
                .allSatisfy(client -> assertThat(client.failure()).isInstanceOf(TransientFailure.class));
        assertThat(again.issuedFor()).isEqualTo("pod-5-uid/1");
        assertThat(fixture.calls()).isEqualTo(6);
    }

    @Test
    void keepsAnEntryWhenOneOfItsTokensIsRefused() {
        // Given
        fixture.renewer.start();
        fixture.cached(a.verified(ROLE, 1, START.plus(Duration.ofHours(24))), SIX_HOURS);
        fixture.ask(b.verified(ROLE, 1, START.plus(Duration.ofHours(23))));
        fixture.time.advance(DUE);
        // When
        fixture.eksAuth.fail(1, BAD_TOKEN);
        fixture.eksAuth.succeed(2, SIX_HOURS);
        fixture.time.advance(DUE);
        // Then
        assertThat(fixture.eksAuth.calls()).extracting(call -> call.token().raw())
                .containsExactly("a-uid/1", "a-uid/1", "b-uid/1");
        assertThat(fixture.service.entries().iterator().next().pods().has("a-uid")).isFalse();
        assertThat(fixture.ask(b.verified(ROLE)).issuedByCall()).isEqualTo(2);
        assertThat(fixture.renewals(RenewalResult.SUCCESS)).isEqualTo(1);
        assertThat(fixture.evicted(EvictionCause.REFUSED)).isZero();
    }

    @Test
    void keepsAnEntryForTheTokensThatARenewalDidNotComeTo() {
        // Given
        fixture.renewer.start();
        fixture.cached(a.verified(ROLE, 1, START.plus(Duration.ofHours(24))), SIX_HOURS);
        IntStream.range(0, 6).forEach(i ->
                fixture.ask(Pod.of("pod-" + i).verified(ROLE, 1, START.plus(Duration.ofHours(23)).minusSeconds(i))));
        fixture.eksAuth.answerAtOnce(BAD_TOKEN);
        fixture.time.advance(DUE);
        int refused = fixture.calls() - 1;
        // When
        fixture.eksAuth.issueAtOnce(SIX_HOURS);
        fixture.time.advance(Duration.ofSeconds(6));
        // Then
        assertThat(refused).isEqualTo(5);
        assertThat(fixture.eksAuth.last().token().raw()).isEqualTo("pod-4-uid/1");
        assertThat(fixture.renewals(RenewalResult.FAILED)).isEqualTo(1);
        assertThat(fixture.renewals(RenewalResult.SUCCESS)).isEqualTo(1);
        assertThat(fixture.entries()).isEqualTo(1);
    }

    @Test
    void dropsAnEntryWhenTheLastOfItsTokensIsRefused() {
        // Given
        fixture.renewer.start();
        fixture.cached(a.verified(ROLE), SIX_HOURS);
        fixture.ask(b.verified(ROLE));
        fixture.eksAuth.answerAtOnce(BAD_TOKEN);
        // When
        fixture.time.advance(DUE);
        // Then
        assertThat(fixture.calls()).isEqualTo(3);
        assertThat(fixture.entries()).isZero();
        assertThat(fixture.evicted(EvictionCause.REFUSED)).isEqualTo(1);
        assertThat(fixture.renewals(RenewalResult.REFUSED)).isEqualTo(1);
    }

    @Test
    void dropsAnEntryForAllWhenItsServiceAccountIsRefused() {
        // Given
        fixture.renewer.start();
        fixture.cached(a.verified(ROLE), SIX_HOURS);
        fixture.ask(b.verified(ROLE));
        fixture.eksAuth.answerAtOnce(DENIED);
        // When
        fixture.time.advance(DUE);
        // Then
        assertThat(fixture.calls()).isEqualTo(2);
        assertThat(fixture.entries()).isZero();
        assertThat(fixture.evicted(EvictionCause.REFUSED)).isEqualTo(1);
    }

    @ParameterizedTest
    @EnumSource(value = CoalesceScope.class, names = {"TOKEN", "POD"})
    void neverUsesAnotherPodsTokenInTheOtherScopes(CoalesceScope scope) {
        // Given
        fixture.cached(b.verified(scope), SIX_HOURS);
        // When
        RecordingAnswer ofA = fixture.ask(a.verified(scope));
        fixture.eksAuth.fail(1, BAD_TOKEN);
        // Then
        assertThat(ofA.failure()).isSameAs(BAD_TOKEN);
        assertThat(fixture.calls()).isEqualTo(2);
        assertThat(fixture.ask(b.verified(scope)).cache()).isEqualTo(CacheOutcome.HIT);
    }

    @Test
    void goesOnWithTheRotatedTokenOfTheSamePod() {
        // Given
        RecordingAnswer old = fixture.ask(a.verified(POD, 1, START.plusSeconds(30)));
        RecordingAnswer rotated = fixture.ask(a.verified(POD, 2, START.plus(SIX_HOURS)));
        // When
        fixture.eksAuth.fail(0, EXPIRED);
        fixture.eksAuth.succeed(1, SIX_HOURS);
        // Then
        assertThat(rotated.issuedFor()).isEqualTo("a-uid/2");
        assertThat(old.failure()).isSameAs(EXPIRED);
    }

    @Test
    void remembersARefusalThatComesAfterTheFlightsEnd() {
        // Given: the flight of a ends during its call, and the next flight succeeds with the token of b
        fixture.ask(a.verified(ROLE));
        fixture.time.advance(FLIGHT_TIMEOUT.plusMillis(300));
        fixture.ask(b.verified(ROLE));
        fixture.eksAuth.succeed(1, SIX_HOURS);
        // When
        fixture.eksAuth.fail(0, BAD_TOKEN);
        // Then
        assertThat(fixture.ask(a.verified(ROLE)).failure()).isSameAs(BAD_TOKEN);
        assertThat(fixture.ask(b.verified(ROLE)).cache()).isEqualTo(CacheOutcome.HIT);
    }

    @Test
    void givesNothingToATokenThatWasRefusedWhileItWaitedForAnotherFlight() {
        // Given
        RecordingAnswer ofB = fixture.ask(b.verified(ROLE));
        RecordingAnswer ofA = fixture.ask(a.verified(ROLE));
        fixture.ask(a.unverified(ROLE));
        fixture.eksAuth.fail(1, BAD_TOKEN);
        // When
        fixture.eksAuth.succeed(0, SIX_HOURS);
        // Then
        assertThat(ofA.failure()).isSameAs(BAD_TOKEN);
        assertThat(ofB.issuedFor()).isEqualTo("b-uid/1");
    }

    @Test
    void doesNotLearnATokenThatWasRefusedWhileItWaitedForAnotherFlight() {
        // Given
        fixture.ask(b.verified(ROLE));
        fixture.ask(a.verified(ROLE, 1, START.plus(Duration.ofHours(30))));
        fixture.ask(a.unverified(ROLE));
        fixture.eksAuth.fail(1, BAD_TOKEN);
        fixture.eksAuth.succeed(0, SIX_HOURS);
        fixture.renewer.start();
        // When
        fixture.time.advance(DUE);
        // Then
        assertThat(fixture.eksAuth.last().token()).isEqualTo(b.verified(ROLE).token());
        fixture.eksAuth.last().succeed(fixture.time.now().plus(SIX_HOURS));
        assertThat(fixture.renewals(RenewalResult.SUCCESS)).isEqualTo(1);
    }

    @Test
    void takesARefusedTokenOutOfTheEntryThatItsPodSharesWhenItCanBeVerified() {
        // Given
        fixture.renewer.start();
        fixture.cached(b.verified(ROLE), SIX_HOURS);
        fixture.ask(a.verified(ROLE, 1, START.plus(Duration.ofHours(30))));
        fixture.ask(a.unverified(ROLE));
        // When
        fixture.eksAuth.fail(1, BAD_TOKEN);
        fixture.time.advance(DUE);
        // Then
        assertThat(fixture.eksAuth.last().token()).isEqualTo(b.verified(ROLE).token());
        fixture.eksAuth.last().succeed(fixture.time.now().plus(SIX_HOURS));
        assertThat(fixture.renewals(RenewalResult.SUCCESS)).isEqualTo(1);
    }

    // Limits of one pod's source address

    @Test
    void waitsInTheQueueOfEachPodThatAsks() {
        // Given
        fixture = new ServiceFixture(ServiceFixture.concurrentFetches(1));
        fixture.ask(TokenBuilder.token("under-way"), "10.0.0.9");
        IntStream.range(0, 100).forEach(i -> fixture.ask(TokenBuilder.token("made-up-" + i), "10.0.0.1"));
        RecordingAnswer ofA = fixture.ask(a.verified(ROLE), "10.0.0.1");
        RecordingAnswer ofB = fixture.ask(b.verified(ROLE), "10.0.0.2");
        // When
        fixture.eksAuth.fail(0, DENIED);
        fixture.eksAuth.fail(1, BAD_TOKEN);
        fixture.eksAuth.succeed(2, SIX_HOURS);
        fixture.eksAuth.answerAtOnce(BAD_TOKEN);
        fixture.eksAuth.fail(3, BAD_TOKEN);
        // Then
        assertThat(ofB.credentials()).isSameAs(ofA.credentials());
        assertThat(fixture.eksAuth.calls().get(2).token().raw()).isEqualTo("a-uid/1");
        assertThat(fixture.calls()).as("each token once").isEqualTo(1 + 100 + 1);
    }

    @ParameterizedTest
    @EnumSource(names = {"POD", "ROLE"})
    void servesATokenThatIsVerifiedOnlyNowWhatEksAuthHasIssuedForIt(CoalesceScope scope) {
        // Given
        Credentials issued = fixture.cached(a.unverified(scope), SIX_HOURS);
        // When
        RecordingAnswer sameToken = fixture.ask(a.verified(scope));
        RecordingAnswer otherPod = fixture.ask(b.verified(scope));
        // Then
        assertThat(sameToken.credentials()).isSameAs(issued);
        assertThat(sameToken.cache()).isEqualTo(CacheOutcome.HIT);
        assertThat(otherPod.answered()).isFalse();
    }

    @Test
    void servesItNothingOfThatOnceTheServiceAccountIsRefused() {
        // Given
        fixture.cached(a.unverified(ROLE), SIX_HOURS);
        fixture.ask(b.verified(ROLE));
        fixture.eksAuth.fail(1, DENIED);
        // When
        RecordingAnswer client = fixture.ask(a.verified(ROLE));
        // Then
        assertThat(client.failure()).isSameAs(DENIED);
    }

    @Test
    void waitsInAllQueuesAgainAfterTransientTrouble() {
        // Given
        fixture = new ServiceFixture(ServiceFixture.concurrentFetches(1));
        fixture.ask(a.verified(ROLE), "10.0.0.1");
        RecordingAnswer ofB = fixture.ask(b.verified(ROLE), "10.0.0.2");
        IntStream.range(0, 100).forEach(i -> fixture.ask(TokenBuilder.token("made-up-" + i), "10.0.0.1"));
        fixture.eksAuth.fail(0, UNAVAILABLE);
        fixture.time.advance(ServiceFixture.FIRST_PAUSE);
        // When
        fixture.eksAuth.fail(1, BAD_TOKEN);
        fixture.eksAuth.fail(2, BAD_TOKEN);
        fixture.eksAuth.succeed(3, SIX_HOURS);
        // Then
        assertThat(ofB.issuedFor()).isEqualTo("a-uid/1");
    }

    @Test
    void asksForAPodWhenTheSourceOfAnotherHasUsedUpItsRefusals() {
        // Given
        fixture.eksAuth.answerAtOnce(BAD_TOKEN);
        IntStream.range(0, 150).forEach(i -> fixture.ask(TokenBuilder.token("made-up-" + i), "10.0.0.1"));
        fixture.eksAuth.issueAtOnce(SIX_HOURS);
        // When
        RecordingAnswer ofA = fixture.ask(a.verified(ROLE), "10.0.0.1");
        RecordingAnswer ofB = fixture.ask(b.verified(ROLE), "10.0.0.2");
        // Then
        assertThat(ofA.failure()).isInstanceOf(TransientFailure.class);
        assertThat(ofB.issuedFor()).isEqualTo("b-uid/1");
    }

    @Test
    void asksForAPodThatHasJoinedTheFlightOfASourceWithoutPermits() {
        // Given
        fixture = new ServiceFixture(ServiceFixture.concurrentFetches(1));
        fixture.eksAuth.answerAtOnce(BAD_TOKEN);
        IntStream.range(0, 99).forEach(i -> fixture.ask(TokenBuilder.token("made-up-" + i), "10.0.0.1"));
        fixture.eksAuth.hang();
        fixture.ask(TokenBuilder.token("made-up-99"), "10.0.0.1");
        RecordingAnswer ofA = fixture.ask(a.verified(ROLE), "10.0.0.1");
        RecordingAnswer ofB = fixture.ask(b.verified(ROLE), "10.0.0.2");
        // When
        fixture.eksAuth.last().answer(BAD_TOKEN);
        fixture.eksAuth.last().succeed(START.plus(SIX_HOURS));
        // Then
        assertThat(ofB.issuedFor()).isEqualTo("a-uid/1");
        assertThat(ofA.issuedFor()).isEqualTo("a-uid/1");
        assertThat(fixture.calls()).isEqualTo(101);
    }

    @Test
    void postponesARenewalThatALimitEnds() {
        // Given
        fixture = new ServiceFixture();
        fixture.renewer.start();
        fixture.cached(a.verified(ROLE), Duration.ofMinutes(18));
        fixture.time.advance(Duration.ofMinutes(12));
        FakeEksAuth.Call renewal = fixture.eksAuth.last();
        fixture.eksAuth.answerAtOnce(BAD_TOKEN);
        IntStream.range(0, 100).forEach(i -> fixture.ask(TokenBuilder.token("made-up-" + i), "10.0.0.1"));
        RecordingAnswer client = fixture.ask(a.verified(ROLE), "10.0.0.1");
        renewal.answer(UNAVAILABLE);
        fixture.time.advance(ServiceFixture.FIRST_PAUSE.minusMillis(1));
        IntStream.range(0, 10).forEach(i -> fixture.ask(TokenBuilder.token("more-" + i), "10.0.0.1"));
        int calls = fixture.calls();
        // When
        fixture.time.advanceMillis(1);
        // Then
        assertThat(client.cache()).isEqualTo(CacheOutcome.STALE);
        assertThat(fixture.renewals(RenewalResult.FAILED)).isEqualTo(1);
        assertThat(fixture.calls()).isEqualTo(calls);
    }

    @Test
    void answersTheOthersWhenTheFirstGoesAway() {
        // Given
        RecordingAnswer ofA = fixture.ask(a.verified(ROLE));
        RecordingAnswer ofB = fixture.ask(b.verified(ROLE));
        ofA.abandon();
        // When
        fixture.eksAuth.succeed(0, SIX_HOURS);
        // Then
        assertThat(ofB.issuedFor()).isEqualTo("a-uid/1");
    }

    // Credentials for another service account

    @ParameterizedTest
    @EnumSource
    void neitherKeepsNorServesAnAnswerForAnotherServiceAccount(CoalesceScope scope) {
        // Given
        RecordingAnswer ofA = fixture.ask(a.verified(scope));
        Instant expiration = START.plus(SIX_HOURS);
        fixture.eksAuth.script(call -> call.succeedFor("shop", "billing", expiration));
        // When
        fixture.eksAuth.calls().get(0).succeedFor("billing", "cart", expiration);
        fixture.time.advance(ServiceFixture.FIRST_PAUSE);
        fixture.time.advance(ServiceFixture.DEADLINE);
        // Then
        assertThat(ofA.failure()).isInstanceOfSatisfying(TransientFailure.class, failure ->
                assertThat(failure.reason()).isEqualTo(TransientFailure.Reason.BAD_ANSWER));
        assertThat(fixture.entries()).isZero();
        assertThat(fixture.count("pod_identity_upstream_wrong_subjects")).isGreaterThan(1);
        assertThat(fixture.called("failed", "InternalServerException")).isEqualTo(fixture.calls());
    }

    @ParameterizedTest
    @EnumSource
    void keepsTheOldCredentialsWhenARenewalIsAnsweredForAnother(CoalesceScope scope) {
        // Given
        fixture.renewer.start();
        Credentials old = fixture.cached(a.verified(scope), SIX_HOURS);
        fixture.time.advance(DUE);
        // When
        fixture.eksAuth.calls().get(1).succeedFor("billing", "cart", START.plus(Duration.ofHours(9)));
        // Then
        assertThat(fixture.ask(a.verified(scope)).credentials()).isSameAs(old);
        assertThat(fixture.renewals(RenewalResult.FAILED)).isEqualTo(1);
    }

    @Test
    void holdsAnswersToTheTokensClaimsWhileNobodyCanVerify() {
        // Given
        RecordingAnswer ofA = fixture.ask(a.unverified(ROLE));
        // When
        fixture.eksAuth.calls().get(0).succeedFor("billing", "cart", START.plus(SIX_HOURS));
        fixture.eksAuth.last().succeed(START.plus(SIX_HOURS));
        fixture.time.advance(DEADLINE);
        // Then
        assertThat(ofA.failure().code()).isEqualTo("InternalServerException");
        assertThat(fixture.entries()).isZero();
    }

    @Test
    void servesTheAnswerAfterTheOneForAnother() {
        // Given
        RecordingAnswer ofA = fixture.ask(a.verified(ROLE));
        fixture.eksAuth.calls().get(0).succeedFor("billing", "cart", START.plus(SIX_HOURS));
        fixture.time.advance(ServiceFixture.FIRST_PAUSE);
        // When
        fixture.eksAuth.succeed(1, SIX_HOURS);
        // Then
        assertThat(ofA.issuedByCall()).isEqualTo(1);
        assertThat(fixture.count("pod_identity_upstream_wrong_subjects")).isEqualTo(1);
    }
}
