package dev.podidentity.agent.credentials;

import static dev.podidentity.agent.config.CoalesceScope.POD;
import static dev.podidentity.agent.config.CoalesceScope.ROLE;
import static dev.podidentity.agent.credentials.FakeEksAuth.BAD_TOKEN;
import static dev.podidentity.agent.credentials.FakeEksAuth.UNAVAILABLE;
import static dev.podidentity.agent.testing.FakeTime.START;
import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.config.CoalesceScope;
import dev.podidentity.agent.observe.CacheOutcome;
import dev.podidentity.agent.observe.EvictionCause;
import dev.podidentity.agent.observe.RenewalResult;
import dev.podidentity.agent.token.RejectedToken;
import java.time.Duration;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Tests what happens to cache entries, calls and requests when a pod dies. */
@ExtendWith(QuietLog.class)
class PodDeathTest {

    private static final Duration SIX_HOURS = Duration.ofHours(6);
    private static final Duration DUE = Duration.ofHours(3);

    private final Pod a = Pod.of("a");
    private final Pod b = Pod.of("b");
    private ServiceFixture fixture = new ServiceFixture();

    @AfterEach
    void nothingIsLeftOver() {
        fixture.settle();
    }

    @ParameterizedTest
    @EnumSource
    void dropsTheEntryOfADeadPodAtOnce(CoalesceScope scope) {
        // Given
        fixture.cached(a.verified(scope), SIX_HOURS);
        // When
        fixture.die("a-uid");
        // Then
        assertThat(fixture.entries()).isZero();
        assertThat(fixture.bytes()).isZero();
        assertThat(fixture.evicted(EvictionCause.POD_GONE)).isEqualTo(1);
    }

    @Test
    void dropsTheEntryOfATokenThatNobodyHereVerifiedAsEksAuthDid() {
        // Given
        fixture.cached(a.unverified(ROLE), SIX_HOURS);
        // When
        fixture.die("a-uid");
        // Then
        assertThat(fixture.entries()).isZero();
    }

    @ParameterizedTest
    @EnumSource
    void dropsWithinASecondTheEntryOfAPodWhoseDeathNobodyHasTold(CoalesceScope scope) {
        // Given
        fixture.cached(a.verified(scope), SIX_HOURS);
        fixture.cached(new Pod("shop", "other", "other-uid", "b", "b-uid").verified(scope), SIX_HOURS);
        fixture.gone.add("a-uid");
        // When
        fixture.renewer.start();
        fixture.time.advance(Duration.ofSeconds(1));
        // Then
        assertThat(fixture.entries()).isEqualTo(1);
        assertThat(fixture.evicted(EvictionCause.POD_GONE)).isEqualTo(1);
    }

    @Test
    void dropsASharedEntryWithItsLastPod() {
        // Given
        fixture.cached(a.verified(ROLE), SIX_HOURS);
        fixture.ask(b.verified(ROLE));
        // When
        fixture.die("a-uid");
        CacheOutcome ofB = fixture.ask(b.verified(ROLE)).cache();
        fixture.die("b-uid");
        // Then
        assertThat(ofB).isEqualTo(CacheOutcome.HIT);
        assertThat(fixture.entries()).isZero();
        assertThat(fixture.calls()).isEqualTo(1);
    }

    @Test
    void leavesTheEntriesOfOtherPodsAlone() {
        // Given
        fixture.cached(a.verified(POD), SIX_HOURS);
        fixture.cached(b.verified(POD), SIX_HOURS);
        // When
        fixture.die("a-uid");
        fixture.die("stranger-uid");
        // Then
        assertThat(fixture.ask(b.verified(POD)).cache()).isEqualTo(CacheOutcome.HIT);
        assertThat(fixture.entries()).isEqualTo(1);
    }

    // Renewal

    @Test
    void renewsWithATokenOfAPodThatLivesThoughTheDeadOnesWasFresher() {
        // Given
        fixture.renewer.start();
        fixture.cached(a.verified(ROLE, 1, START.plus(Duration.ofHours(30))), SIX_HOURS);
        fixture.ask(b.verified(ROLE));
        fixture.die("a-uid");
        // When
        fixture.time.advance(DUE);
        // Then
        assertThat(fixture.eksAuth.last().token().raw()).isEqualTo("b-uid/1");
    }

    @Test
    void neverRenewsForTheDeadOfWhomNobodyHasTold() {
        // Given
        fixture.renewer.start();
        fixture.cached(a.verified(ROLE), SIX_HOURS);
        fixture.cached(b.unverified(ROLE), SIX_HOURS);
        fixture.gone.add("a-uid");
        fixture.gone.add("b-uid");
        // When
        fixture.time.advance(SIX_HOURS);
        // Then
        assertThat(fixture.calls()).isEqualTo(2);
        assertThat(fixture.entries()).isZero();
        assertThat(fixture.evicted(EvictionCause.POD_GONE)).isEqualTo(2);
        assertThat(fixture.renewals(RenewalResult.FAILED)).as("renewals begun").isZero();
    }

    @Test
    void renewsWithATokenOfAPodThatLivesBeforeTheDeadOnesIsTakenOut() {
        // Given
        fixture.renewer.start();
        fixture.cached(a.verified(ROLE, 1, START.plus(Duration.ofHours(30))), SIX_HOURS);
        fixture.ask(b.verified(ROLE));
        fixture.gone.add("a-uid");
        // When
        fixture.time.advance(DUE);
        // Then
        assertThat(fixture.eksAuth.calls()).extracting(call -> call.token().raw()).containsExactly("a-uid/1", "b-uid/1");
    }

    @ParameterizedTest
    @EnumSource
    void doesNotKeepWhatARenewalBringsForAPodThatDiedMeanwhile(CoalesceScope scope) {
        // Given
        fixture.renewer.start();
        fixture.cached(a.verified(scope), SIX_HOURS);
        fixture.time.advance(DUE);
        fixture.die("a-uid");
        // When
        fixture.eksAuth.succeed(1, SIX_HOURS);
        // Then
        assertThat(fixture.calls()).isEqualTo(2);
        assertThat(fixture.entries()).isZero();
    }

    @Test
    void keepsWhatARenewalBringsWhileAPodLives() {
        // Given
        fixture.renewer.start();
        fixture.cached(a.verified(ROLE, 1, START.plus(Duration.ofHours(30))), SIX_HOURS);
        fixture.ask(b.verified(ROLE));
        fixture.time.advance(DUE);
        fixture.die("a-uid");
        // When
        fixture.eksAuth.succeed(1, SIX_HOURS);
        // Then
        assertThat(fixture.ask(b.verified(ROLE)).issuedByCall()).isEqualTo(1);
        assertThat(fixture.renewals(RenewalResult.SUCCESS)).isEqualTo(1);
    }

    @Test
    void postponesARenewalWhoseLastWaiterAndPodWentAway() {
        // Given
        fixture.renewer.start();
        fixture.cached(a.verified(ROLE, 1, START.plus(Duration.ofHours(30))), Duration.ofMinutes(20));
        fixture.ask(b.verified(ROLE));
        fixture.time.advance(Duration.ofMinutes(20).multipliedBy(2).dividedBy(3));
        RecordingAnswer waiting = fixture.ask(a.verified(ROLE, 1, START.plus(Duration.ofHours(30))));
        fixture.eksAuth.fail(1, UNAVAILABLE);
        fixture.die("a-uid");
        // When
        fixture.time.advance(ServiceFixture.FIRST_PAUSE);
        fixture.time.advance(Duration.ofSeconds(6));
        // Then
        assertThat(waiting.cache()).isEqualTo(CacheOutcome.STALE);
        assertThat(fixture.renewals(RenewalResult.FAILED)).isEqualTo(1);
        assertThat(fixture.eksAuth.last().token().raw()).isEqualTo("b-uid/1");
        assertThat(fixture.calls()).isEqualTo(3);
    }

    // Calls for requests

    @ParameterizedTest
    @EnumSource
    void doesNotKeepWhatACallBringsForAPodThatDiedMeanwhile(CoalesceScope scope) {
        // Given
        fixture.ask(a.verified(scope)).abandon();
        fixture.die("a-uid");
        // When
        fixture.eksAuth.succeed(0, SIX_HOURS);
        // Then
        assertThat(fixture.entries()).isZero();
    }

    @ParameterizedTest
    @EnumSource
    void doesNotKeepWhatACallBringsForAPodThatOnlyTheWatchKnowsToBeGone(CoalesceScope scope) {
        // Given
        fixture.ask(a.verified(scope)).abandon();
        fixture.gone.add("a-uid");
        // When
        fixture.eksAuth.succeed(0, SIX_HOURS);
        // Then
        assertThat(fixture.entries()).isZero();
    }

    @Test
    void makesNoAttemptForAPodThatOnlyTheWatchKnowsToBeGone() {
        // Given
        fixture.ask(a.verified(ROLE));
        RecordingAnswer ofB = fixture.ask(b.verified(ROLE));
        fixture.eksAuth.fail(0, UNAVAILABLE);
        fixture.gone.add("a-uid");
        fixture.time.advance(ServiceFixture.FIRST_PAUSE);
        // When
        fixture.eksAuth.succeed(1, SIX_HOURS);
        // Then
        assertThat(ofB.issuedFor()).isEqualTo("b-uid/1");
    }

    @Test
    void doesNotGoOnWithATokenOfAPodThatOnlyTheWatchKnowsToBeGone() {
        // Given
        RecordingAnswer ofA = fixture.ask(a.verified(ROLE));
        fixture.ask(b.verified(ROLE));
        fixture.gone.add("b-uid");
        // When
        fixture.eksAuth.fail(0, BAD_TOKEN);
        // Then
        assertThat(ofA.failure()).isSameAs(BAD_TOKEN);
        assertThat(fixture.calls()).isEqualTo(1);
    }

    @Test
    void keepsForTheOthersWhatACallWithADeadPodsTokenBrings() {
        // Given
        fixture.ask(a.verified(ROLE));
        RecordingAnswer ofB = fixture.ask(b.verified(ROLE));
        fixture.die("a-uid");
        // When
        fixture.eksAuth.succeed(0, SIX_HOURS);
        fixture.renewer.start();
        fixture.time.advance(DUE);
        // Then
        assertThat(ofB.issuedFor()).isEqualTo("a-uid/1");
        assertThat(fixture.eksAuth.last().token().raw()).isEqualTo("b-uid/1");
    }

    @Test
    void doesNotKeepWhatALateCallBringsForAPodThatDiedMeanwhile() {
        // Given
        fixture.ask(a.verified(ROLE));
        fixture.time.advance(ServiceFixture.FLIGHT_TIMEOUT);
        fixture.die("a-uid");
        // When
        fixture.eksAuth.succeed(0, SIX_HOURS);
        // Then
        assertThat(fixture.entries()).isZero();
    }

    @Test
    void keepsWhatALateCallBringsForThePodsThatWaitForTheNextOne() {
        // Given
        fixture.ask(a.verified(ROLE));
        fixture.time.advance(ServiceFixture.FLIGHT_TIMEOUT.plusSeconds(1));
        RecordingAnswer ofB = fixture.ask(b.verified(ROLE));
        fixture.die("a-uid");
        // When
        fixture.eksAuth.succeed(0, SIX_HOURS);
        // Then
        assertThat(ofB.issuedByCall()).isZero();
        assertThat(fixture.ask(b.verified(ROLE)).cache()).isEqualTo(CacheOutcome.HIT);
    }

    @Test
    void makesTheNextAttemptWithATokenOfAPodThatLives() {
        // Given
        fixture.ask(a.verified(ROLE));
        RecordingAnswer ofB = fixture.ask(b.verified(ROLE));
        fixture.eksAuth.fail(0, UNAVAILABLE);
        fixture.die("a-uid");
        fixture.time.advance(ServiceFixture.FIRST_PAUSE);
        // When
        fixture.eksAuth.succeed(1, SIX_HOURS);
        // Then
        assertThat(ofB.issuedFor()).isEqualTo("b-uid/1");
    }

    @ParameterizedTest
    @EnumSource
    void makesNoAttemptForADeadPodAlone(CoalesceScope scope) {
        // Given
        RecordingAnswer ofA = fixture.ask(a.verified(scope));
        fixture.eksAuth.fail(0, UNAVAILABLE);
        fixture.die("a-uid");
        // When
        fixture.time.advance(ServiceFixture.FIRST_PAUSE);
        // Then
        assertThat(fixture.calls()).isEqualTo(1);
        assertThat(ofA.rejection()).isEqualTo(RejectedToken.podGone());
    }

    @ParameterizedTest
    @EnumSource
    void turnsAwayAtOnceTheRequestsOfAPodThatDiesWhileItsCallIsUnderWay(CoalesceScope scope) {
        // Given
        RecordingAnswer ofA = fixture.ask(a.verified(scope));
        fixture.time.advanceMillis(200);
        // When
        fixture.die("a-uid");
        boolean atOnce = ofA.answered();
        fixture.time.advanceMillis(400);
        fixture.eksAuth.succeed(0, SIX_HOURS);
        // Then
        assertThat(atOnce).isTrue();
        assertThat(ofA.rejection()).isEqualTo(RejectedToken.podGone());
        assertThat(fixture.entries()).isZero();
    }

    @Test
    void givesNothingToAPodThatOnlyTheWatchKnowsToBeGoneWhenTheOthersAreServed() {
        // Given
        RecordingAnswer ofA = fixture.ask(a.verified(ROLE));
        RecordingAnswer ofB = fixture.ask(b.verified(ROLE));
        fixture.gone.add("a-uid");
        // When
        fixture.eksAuth.succeed(0, SIX_HOURS);
        // Then
        assertThat(ofA.rejection()).isEqualTo(RejectedToken.podGone());
        assertThat(ofB.issuedFor()).isEqualTo("a-uid/1");
        assertThat(fixture.service.entries()).singleElement()
                .satisfies(entry -> assertThat(entry.pods().has("a-uid")).isFalse());
    }

    @Test
    void makesNoAttemptThatNobodyWaitsForThoughOthersLive() {
        // Given
        fixture.cached(b.verified(ROLE), Duration.ofMinutes(16));
        fixture.time.advance(Duration.ofMinutes(2));
        fixture.ask(a.verified(ROLE)).abandon();
        fixture.eksAuth.fail(1, UNAVAILABLE);
        fixture.die("a-uid");
        // When
        fixture.time.advance(ServiceFixture.FIRST_PAUSE);
        // Then
        assertThat(fixture.calls()).isEqualTo(2);
        assertThat(fixture.entries()).isEqualTo(1);
    }

    @Test
    void doesNotLetALivingPodSufferFromADeadOnesEnd() {
        // Given
        fixture.ask(a.verified(ROLE));
        fixture.eksAuth.fail(0, UNAVAILABLE);
        fixture.die("a-uid");
        fixture.time.advance(ServiceFixture.FIRST_PAUSE);
        // When
        RecordingAnswer ofB = fixture.ask(b.verified(ROLE));
        fixture.eksAuth.succeed(1, SIX_HOURS);
        // Then
        assertThat(ofB.issuedFor()).isEqualTo("b-uid/1");
    }

    @Test
    void doesNotGoOnWithADeadPodsTokenAfterARefusal() {
        // Given
        RecordingAnswer ofA = fixture.ask(a.verified(ROLE));
        fixture.ask(b.verified(ROLE));
        fixture.die("b-uid");
        // When
        fixture.eksAuth.fail(0, BAD_TOKEN);
        // Then
        assertThat(ofA.failure()).isSameAs(BAD_TOKEN);
        assertThat(fixture.calls()).isEqualTo(1);
    }

    @Test
    void givesBackTheSlotsOfThousandsThatDiedInTheQueue() {
        // Given
        fixture = new ServiceFixture(ServiceFixture.concurrentFetches(1));
        fixture.ask(b.verified(POD));
        IntStream.range(0, 2000).forEach(i -> fixture.ask(Pod.of("pod-" + i).verified(POD), "10.0." + i));
        IntStream.range(0, 2000).forEach(i -> fixture.die("pod-" + i + "-uid"));
        Pod last = Pod.of("last");
        RecordingAnswer answer = fixture.ask(last.verified(POD), "10.1.0.1");
        // When
        fixture.eksAuth.succeed(0, SIX_HOURS);
        fixture.eksAuth.succeed(1, SIX_HOURS);
        // Then
        assertThat(answer.issuedFor()).isEqualTo("last-uid/1");
        assertThat(fixture.calls()).isEqualTo(2);
    }
}
