package dev.podidentity.agent.credentials;

import static dev.podidentity.agent.credentials.FakeEksAuth.BAD_TOKEN;
import static dev.podidentity.agent.credentials.FakeEksAuth.DENIED;
import static dev.podidentity.agent.credentials.FakeEksAuth.THROTTLED;
import static dev.podidentity.agent.credentials.FakeEksAuth.UNAVAILABLE;
import static dev.podidentity.agent.credentials.ServiceFixture.DEADLINE;
import static dev.podidentity.agent.credentials.ServiceFixture.FIRST_PAUSE;
import static dev.podidentity.agent.credentials.ServiceFixture.FLIGHT_TIMEOUT;
import static dev.podidentity.agent.credentials.TokenBuilder.token;
import static dev.podidentity.agent.credentials.TokenBuilder.unverified;
import static dev.podidentity.agent.testing.FakeTime.START;
import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.eksauth.EksAuthFailure;
import dev.podidentity.agent.eksauth.TransientFailure;
import dev.podidentity.agent.observe.CacheOutcome;
import dev.podidentity.agent.observe.EvictionCause;
import dev.podidentity.agent.token.ServiceAccountToken;
import dev.podidentity.agent.token.ServiceAccountToken.WorkloadClaims;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

@ExtendWith(QuietLog.class)
class CredentialServiceTest {

    private static final Duration SIX_HOURS = Duration.ofHours(6);
    /** Shorter than the 15 minutes before expiry at which SDKs start asking for fresher credentials. */
    private static final Duration SHORT = Duration.ofMinutes(10);

    private final ServiceAccountToken a = token("a");
    private final ServiceAccountToken b = token("b");
    private ServiceFixture fixture = new ServiceFixture();

    @AfterEach
    void nothingIsLeftOver() {
        fixture.settle();
    }

    // Hits and misses

    @Test
    void answersAMissWithTheCredentialsOfOneCall() {
        // Given
        RecordingAnswer client = fixture.ask(a);
        boolean beforeTheCallEnds = client.answered();
        // When
        fixture.eksAuth.succeed(0, SIX_HOURS);
        // Then
        assertThat(beforeTheCallEnds).isFalse();
        assertThat(client.issuedFor()).isEqualTo("a");
        assertThat(client.cache()).isEqualTo(CacheOutcome.MISS);
        assertThat(client.took()).isZero();
        assertThat(fixture.called("success", "none")).isEqualTo(1);
    }

    @Test
    void answersAHitAtOnceAndWithoutACall() {
        // Given
        Credentials cached = fixture.cached(a, SIX_HOURS);
        fixture.time.advance(Duration.ofHours(5));
        // When
        RecordingAnswer client = fixture.ask(a);
        // Then
        assertThat(client.credentials()).isSameAs(cached);
        assertThat(client.cache()).isEqualTo(CacheOutcome.HIT);
        assertThat(fixture.calls()).isEqualTo(1);
    }

    @Test
    void answersWhatSdksRead() {
        // Given
        RecordingAnswer client = fixture.ask(a);
        // When
        fixture.eksAuth.succeed(0, Instant.parse("2026-01-01T06:00:00.750Z"));
        // Then
        assertThat(client.document().getMap())
                .containsOnlyKeys("AccessKeyId", "SecretAccessKey", "Token", "AccountId", "Expiration")
                .containsEntry("AccessKeyId", "ASIA0")
                .containsEntry("AccountId", "123456789012")
                .containsEntry("Expiration", "2026-01-01T06:00:00Z")
                .allSatisfy((key, value) -> assertThat(value).isInstanceOf(String.class));
    }

    @Test
    void answersWhenEksAuthAnswersBeforeTheCallReturns() {
        // Given
        fixture.eksAuth.issueAtOnce(SIX_HOURS);
        // When
        RecordingAnswer miss = fixture.ask(a);
        RecordingAnswer hit = fixture.ask(a);
        // Then
        assertThat(miss.cache()).isEqualTo(CacheOutcome.MISS);
        assertThat(hit.cache()).isEqualTo(CacheOutcome.HIT);
    }

    // Single flight

    @Test
    void makesOneCallForAllWhoAskAtATimeAndAnswersThemInTheSameInstant() {
        // Given
        List<RecordingAnswer> clients = fixture.ask(200, a);
        int waiting = fixture.waiting();
        int inFlight = fixture.inFlight();
        fixture.time.advanceMillis(350);
        // When
        fixture.eksAuth.succeed(0, SIX_HOURS);
        // Then
        Credentials first = clients.get(0).credentials();
        assertThat(fixture.calls()).isEqualTo(1);
        assertThat(waiting).isEqualTo(200);
        assertThat(inFlight).isEqualTo(1);
        assertThat(clients).allSatisfy(client -> {
            assertThat(client.took()).isEqualTo(Duration.ofMillis(350));
            assertThat(client.credentials()).isSameAs(first);
        });
        assertThat(clients.get(0).cache()).isEqualTo(CacheOutcome.MISS);
        assertThat(clients.subList(1, 200)).extracting(RecordingAnswer::cache).containsOnly(CacheOutcome.COALESCED);
        assertThat(fixture.waiting()).isZero();
        assertThat(fixture.inFlight()).isZero();
    }

    @Test
    void servesTwoHundredClientsAtTheirFirstRetryWhenEksAuthTakesLongerThanTheDeadline() {
        // Given
        List<RecordingAnswer> first = fixture.ask(200, a);
        fixture.time.advance(DEADLINE);
        List<RecordingAnswer> retries = fixture.ask(200, a);
        fixture.time.advanceMillis(300);
        // When
        fixture.eksAuth.succeed(0, SIX_HOURS);
        // Then
        assertThat(fixture.calls()).isEqualTo(1);
        assertThat(first).allSatisfy(client -> assertThat(client.failure()).isInstanceOf(TransientFailure.class));
        assertThat(retries).allSatisfy(client -> {
            assertThat(client.issuedFor()).isEqualTo("a");
            assertThat(client.took()).isEqualTo(Duration.ofMillis(300));
        });
    }

    @Test
    void makesACallForEachToken() {
        // Given
        RecordingAnswer ofA = fixture.ask(a);
        RecordingAnswer ofB = fixture.ask(b);
        // When
        fixture.eksAuth.succeed(1, SIX_HOURS);
        boolean answeredByTheOther = ofA.answered();
        fixture.eksAuth.succeed(0, SIX_HOURS);
        // Then
        assertThat(answeredByTheOther).isFalse();
        assertThat(ofA.issuedFor()).isEqualTo("a");
        assertThat(ofB.issuedFor()).isEqualTo("b");
    }

    @Test
    void coalescesRequestsFromDifferentSources() {
        // Given
        RecordingAnswer one = fixture.ask(a, "10.0.0.1");
        RecordingAnswer other = fixture.ask(a, "10.0.0.2");
        // When
        fixture.eksAuth.succeed(0, SIX_HOURS);
        // Then
        assertThat(one.credentials()).isSameAs(other.credentials());
        assertThat(fixture.calls()).isEqualTo(1);
    }

    @Test
    void sharesAFailureSoThatNoWaiterRepeatsTheCall() {
        // Given
        List<RecordingAnswer> clients = fixture.ask(50, a);
        // When
        fixture.eksAuth.fail(0, DENIED);
        fixture.time.advance(Duration.ofMinutes(1));
        // Then
        assertThat(fixture.calls()).isEqualTo(1);
        assertThat(clients).allSatisfy(client -> {
            assertThat(client.failure()).isSameAs(DENIED);
            assertThat(client.took()).isZero();
        });
    }

    @Test
    void leavesNoTimerBehindWhenAllAreAnswered() {
        // Given
        fixture.ask(5, a);
        fixture.ask(b).abandon();
        fixture.eksAuth.fail(0, UNAVAILABLE);
        fixture.eksAuth.fail(1, DENIED);
        fixture.time.advance(FIRST_PAUSE);
        int meanwhile = fixture.time.pending();
        // When
        fixture.eksAuth.succeed(2, SIX_HOURS);
        // Then
        assertThat(meanwhile).isPositive();
        assertThat(fixture.time.pending()).isZero();
    }

    // Clients that disconnect

    @Test
    void goesOnWithTheCallOfAClientThatWentAwayAndKeepsItsResult() {
        // Given
        RecordingAnswer gone = fixture.ask(a);
        gone.abandon();
        int waiting = fixture.waiting();
        fixture.eksAuth.succeed(0, SIX_HOURS);
        // When
        RecordingAnswer next = fixture.ask(a);
        // Then
        assertThat(waiting).isZero();
        assertThat(gone.answered()).isFalse();
        assertThat(next.cache()).isEqualTo(CacheOutcome.HIT);
        assertThat(next.issuedByCall()).isZero();
    }

    @Test
    void answersTheOthersWhenTheFirstGoesAway() {
        // Given
        RecordingAnswer gone = fixture.ask(a);
        RecordingAnswer other = fixture.ask(a);
        gone.abandon();
        // When
        fixture.eksAuth.succeed(0, SIX_HOURS);
        // Then
        assertThat(other.issuedFor()).isEqualTo("a");
        assertThat(gone.answered()).isFalse();
        assertThat(fixture.calls()).isEqualTo(1);
    }

    @Test
    void retriesForNobodyAfterAllHaveGone() {
        // Given
        fixture.ask(a).abandon();
        fixture.eksAuth.fail(0, UNAVAILABLE);
        fixture.time.advance(FIRST_PAUSE);
        fixture.eksAuth.succeed(1, SIX_HOURS);
        // When
        RecordingAnswer next = fixture.ask(a);
        // Then
        assertThat(next.cache()).isEqualTo(CacheOutcome.HIT);
    }

    @Test
    void takesNoHarmFromAClientThatGoesAwayTwiceOrAfterItsAnswer() {
        // Given
        RecordingAnswer twice = fixture.ask(a);
        RecordingAnswer after = fixture.ask(a);
        twice.abandon();
        // When
        twice.abandon();
        fixture.eksAuth.succeed(0, SIX_HOURS);
        after.abandon();
        fixture.ask(a).abandon();
        // Then
        assertThat(after.answers()).isEqualTo(1);
        assertThat(fixture.waiting()).isZero();
    }

    // The request deadline

    @Test
    void answersAtTheDeadlineWhileTheCallGoesOnAndServesTheRetryFromItsResult() {
        // Given
        RecordingAnswer client = fixture.ask(a);
        fixture.time.advance(Duration.ofSeconds(2));
        int stillInFlight = fixture.inFlight();
        fixture.eksAuth.succeed(0, SIX_HOURS);
        // When
        RecordingAnswer retry = fixture.ask(a);
        // Then
        assertThat(client.failure()).isInstanceOf(TransientFailure.class);
        assertThat(client.failure().code()).isEqualTo("ServiceUnavailableException");
        assertThat(client.failure().message()).contains("900 ms");
        assertThat(client.took()).isEqualTo(DEADLINE);
        assertThat(stillInFlight).isEqualTo(1);
        assertThat(retry.cache()).isEqualTo(CacheOutcome.HIT);
        assertThat(fixture.calls()).isEqualTo(1);
    }

    @Test
    void namesTheTroubleMetSoFarAtTheDeadline() {
        // Given
        RecordingAnswer client = fixture.ask(a);
        fixture.eksAuth.fail(0, THROTTLED);
        // When
        fixture.time.advance(DEADLINE);
        // Then
        assertThat(client.failure()).isSameAs(THROTTLED);
        assertThat(client.took()).isEqualTo(DEADLINE);
    }

    @Test
    void countsTheDeadlineOfEachRequestFromItsOwnBegin() {
        // Given
        RecordingAnswer early = fixture.ask(a);
        fixture.time.advanceMillis(600);
        RecordingAnswer late = fixture.ask(a);
        // When
        fixture.time.advance(Duration.ofSeconds(2));
        // Then
        assertThat(early.took()).isEqualTo(DEADLINE);
        assertThat(late.took()).isEqualTo(DEADLINE);
    }

    @Test
    void answersAtTheDeadlineARequestWhoseCallHasNoSlotYet() {
        // Given
        fixture = new ServiceFixture(ServiceFixture.concurrentFetches(1));
        fixture.ask(a);
        RecordingAnswer queued = fixture.ask(b);
        // When
        fixture.time.advance(Duration.ofSeconds(1));
        // Then
        assertThat(queued.failure()).isInstanceOf(TransientFailure.class);
        assertThat(queued.took()).isEqualTo(DEADLINE);
        assertThat(fixture.callsFor(b)).isZero();
    }

    // Permanent failures

    @Test
    void makesOneCallForAPermanentFailure() {
        // Given
        fixture.ask(a);
        // When
        fixture.eksAuth.fail(0, DENIED);
        fixture.time.advance(Duration.ofMinutes(5));
        // Then
        assertThat(fixture.calls()).isEqualTo(1);
        assertThat(fixture.called("refused", "AccessDeniedException")).isEqualTo(1);
    }

    @Test
    void answersTheInstantRetriesOfAnSdkFromMemory() {
        // Given
        fixture.ask(a);
        fixture.eksAuth.fail(0, DENIED);
        // When
        List<RecordingAnswer> retries = fixture.ask(5, a);
        // Then
        assertThat(fixture.calls()).isEqualTo(1);
        assertThat(retries).allSatisfy(client -> {
            assertThat(client.failure()).isSameAs(DENIED);
            assertThat(client.cache()).isEqualTo(CacheOutcome.REMEMBERED);
        });
    }

    @Test
    void remembersAPermanentFailureForLongerEachTime() {
        // Given
        fixture.random = 0;
        fixture.eksAuth.answerAtOnce(DENIED);
        // When
        for (int millis = 0; millis <= 30_000; millis += 10) {
            fixture.ask(a);
            fixture.time.advanceMillis(10);
        }
        // Then
        assertThat(fixture.eksAuth.times().stream().map(Duration::toMillis).toList())
                .containsExactly(0L, 250L, 750L, 1750L, 3750L, 7750L, 12_750L, 17_750L, 22_750L, 27_750L);
    }

    @Test
    void startsTheMemoryOfFailuresAnewAfterASuccess() {
        // Given
        fixture = new ServiceFixture(ServiceFixture.cacheSize(0));
        fixture.random = 0;
        fixture.eksAuth.answerAtOnce(DENIED);
        fixture.ask(a);
        fixture.time.advanceMillis(250);
        fixture.ask(a);
        fixture.time.advanceMillis(500);
        fixture.eksAuth.issueAtOnce(SIX_HOURS);
        fixture.ask(a);
        fixture.eksAuth.answerAtOnce(DENIED);
        fixture.ask(a);
        int calls = fixture.calls();
        // When
        fixture.time.advanceMillis(249);
        RecordingAnswer remembered = fixture.ask(a);
        fixture.time.advanceMillis(1);
        RecordingAnswer asked = fixture.ask(a);
        // Then
        assertThat(calls).isEqualTo(4);
        assertThat(remembered.cache()).isEqualTo(CacheOutcome.REMEMBERED);
        assertThat(asked.cache()).isEqualTo(CacheOutcome.MISS);
    }

    @Test
    void noticesANewAssociationWithinSeconds() {
        // Given
        fixture.random = 1;
        fixture.eksAuth.answerAtOnce(DENIED);
        for (int i = 0; i < 600; i++) {
            fixture.ask(a);
            fixture.time.advanceMillis(100);
        }
        fixture.eksAuth.issueAtOnce(SIX_HOURS);
        // When
        fixture.time.advanceMillis(5500);
        RecordingAnswer client = fixture.ask(a);
        // Then
        assertThat(client.issuedFor()).isEqualTo("a");
    }

    @Test
    void remembersNoFailureForAnotherToken() {
        // Given
        fixture.ask(a);
        fixture.eksAuth.fail(0, DENIED);
        // When
        RecordingAnswer other = fixture.ask(b);
        fixture.eksAuth.succeed(1, SIX_HOURS);
        // Then
        assertThat(other.issuedFor()).isEqualTo("b");
    }

    // Transient failures

    @ParameterizedTest
    @CsvSource({"0, 250", "1, 125"})
    void callsAgainWithJitterUntilNobodyHasWaitedForThreeSeconds(double random, long pauseMillis) {
        // Given
        fixture.random = random;
        fixture.eksAuth.answerAtOnce(UNAVAILABLE);
        fixture.ask(a);
        // When
        fixture.time.advance(Duration.ofMinutes(1));
        // Then
        List<Long> times = fixture.eksAuth.times().stream().map(Duration::toMillis).toList();
        assertThat(times.get(1)).isEqualTo(pauseMillis);
        assertThat(times.get(2)).isEqualTo(2 * pauseMillis);
        assertThat(times.get(times.size() - 1))
                .isBetween(DEADLINE.toMillis() + 3000 - pauseMillis, DEADLINE.toMillis() + 3000);
    }

    @Test
    void servesWhoeverAsksWhileEksAuthIsAwayForAsLongAsJavasSdkTries() {
        // Given
        fixture.eksAuth.answerAtOnce(UNAVAILABLE);
        fixture.time.schedule(Duration.ofSeconds(5), () -> fixture.eksAuth.issueAtOnce(SIX_HOURS));
        // When
        List<RecordingAnswer> requests = new ArrayList<>();
        for (int i = 0; i < 6 && (i == 0 || requests.get(i - 1).outcome() instanceof Outcome.Failed); i++) {
            requests.add(fixture.ask(a));
            fixture.time.advance(DEADLINE);
        }
        // Then
        RecordingAnswer last = requests.get(requests.size() - 1);
        assertThat(last.issuedFor()).isEqualTo("a");
        assertThat(requests.subList(0, requests.size() - 1))
                .allSatisfy(request -> assertThat(request.took()).isEqualTo(DEADLINE));
    }

    @Test
    void waitsForTheNextCallInsteadOfAnsweringTransientTroubleFromMemory() {
        // Given
        fixture.eksAuth.answerAtOnce(UNAVAILABLE);
        for (int second = 0; second < 200; second++) {
            fixture.ask(a);
            fixture.time.advance(Duration.ofSeconds(1));
        }
        fixture.time.advance(Duration.ofSeconds(5));
        int calls = fixture.calls();
        fixture.ask(a);
        fixture.time.advance(Duration.ofMillis(5500));
        fixture.eksAuth.issueAtOnce(SIX_HOURS);
        // When
        RecordingAnswer client = fixture.ask(a);
        boolean atOnce = client.answered();
        fixture.time.advance(Duration.ofSeconds(4));
        // Then
        assertThat(calls).isLessThan(200);
        assertThat(atOnce).isFalse();
        assertThat(fixture.ask(a).issuedFor()).isEqualTo("a");
    }

    @Test
    void servesEverybodyOnceEksAuthIsBackAndCallsItAHandfulOfTimesASecondUntilThen() {
        // Given
        fixture = new ServiceFixture(ServiceFixture.concurrentFetches(100));
        fixture.eksAuth.answerAtOnce(UNAVAILABLE);
        List<RecordingAnswer> clients = new ArrayList<>();
        int before = 0;
        // When
        for (int second = 0; second < 10; second++) {
            clients.clear();
            for (int i = 0; i < 200; i++) {
                clients.add(fixture.ask(token("token-" + i), "10.0.0." + i));
            }
            before = fixture.calls();
            fixture.time.advanceMillis(800);
            assertThat(fixture.calls() - before).isLessThanOrEqualTo(second == 0 ? 10 : 5);
            if (second == 9) {
                fixture.eksAuth.issueAtOnce(SIX_HOURS);
            }
            fixture.time.advanceMillis(200);
        }
        fixture.time.advanceMillis(200);
        List<RecordingAnswer> retries = new ArrayList<>();
        for (int i = 0; i < 200; i++) {
            retries.add(fixture.ask(token("token-" + i), "10.0.0." + i));
        }
        // Then
        assertThat(retries).allSatisfy(client -> {
            assertThat(client.credentials()).isNotNull();
            assertThat(client.cache()).isEqualTo(CacheOutcome.HIT);
        });
    }

    @Test
    void doesNotLetOneIdentitysTroubleDelayTheOthers() {
        // Given
        fixture.eksAuth.answerAtOnce(UNAVAILABLE);
        fixture.ask(a);
        fixture.time.advance(Duration.ofSeconds(1));
        fixture.eksAuth.issueAtOnce(SIX_HOURS);
        // When
        RecordingAnswer other = fixture.ask(b);
        // Then
        assertThat(other.issuedFor()).isEqualTo("b");
        assertThat(other.took()).isZero();
    }

    @Test
    void answersAllWhoWaitWhenARetrySucceeds() {
        // Given
        List<RecordingAnswer> clients = fixture.ask(20, a);
        fixture.eksAuth.fail(0, UNAVAILABLE);
        boolean answeredByTheFirstFailure = clients.get(0).answered();
        fixture.time.advance(FIRST_PAUSE);
        // When
        fixture.eksAuth.succeed(1, SIX_HOURS);
        // Then
        assertThat(answeredByTheFirstFailure).isFalse();
        assertThat(clients).allSatisfy(client -> {
            assertThat(client.issuedByCall()).isEqualTo(1);
            assertThat(client.took()).isEqualTo(FIRST_PAUSE);
        });
    }

    @Test
    void joinsTheFlightThatPausesBeforeItsRetry() {
        // Given
        fixture.ask(a);
        fixture.eksAuth.fail(0, UNAVAILABLE);
        // When
        RecordingAnswer joined = fixture.ask(a);
        fixture.time.advance(FIRST_PAUSE);
        fixture.eksAuth.succeed(1, SIX_HOURS);
        // Then
        assertThat(joined.cache()).isEqualTo(CacheOutcome.COALESCED);
        assertThat(joined.issuedByCall()).isEqualTo(1);
        assertThat(fixture.calls()).isEqualTo(2);
    }

    @Test
    void answersTheLastFailureToWhoeverHasWaitedUntilTheDeadline() {
        // Given
        fixture.eksAuth.answerAtOnce(UNAVAILABLE);
        List<RecordingAnswer> waiting = fixture.ask(10, a);
        fixture.time.advanceMillis(500);
        fixture.eksAuth.answerAtOnce(THROTTLED);
        // When
        fixture.time.advance(DEADLINE.minusMillis(500));
        // Then
        assertThat(waiting).allSatisfy(client -> {
            assertThat(client.failure()).isSameAs(THROTTLED);
            assertThat(client.took()).isEqualTo(DEADLINE);
        });
    }

    @Test
    void stopsRetryingAtAPermanentFailure() {
        // Given
        RecordingAnswer client = fixture.ask(a);
        fixture.eksAuth.fail(0, UNAVAILABLE);
        fixture.time.advance(FIRST_PAUSE);
        // When
        fixture.eksAuth.fail(1, DENIED);
        fixture.time.advance(Duration.ofMinutes(1));
        // Then
        assertThat(client.failure()).isSameAs(DENIED);
        assertThat(fixture.calls()).isEqualTo(2);
    }

    @Test
    void costsEksAuthAHandfulOfCallsASecondWhenAPodAsksAgainAndAgain() {
        // Given
        fixture.random = 1;
        fixture.eksAuth.answerAtOnce(UNAVAILABLE);
        // When
        List<Integer> calls = new ArrayList<>();
        for (int minute = 0; minute < 4; minute++) {
            int before = fixture.calls();
            for (int i = 0; i < 6000; i++) {
                fixture.ask(a);
                fixture.time.advanceMillis(10);
            }
            calls.add(fixture.calls() - before);
        }
        // Then
        assertThat(calls.get(0)).isLessThanOrEqualTo(4 * 60);
        assertThat(calls.get(3)).isLessThanOrEqualTo(30);
    }

    // The end of a flight

    @Test
    void endsAFlightForWhichNobodyWaitsAfterFifteenSecondsEvenIfItsCallHangs() {
        // Given
        fixture.ask(a);
        fixture.time.advance(FLIGHT_TIMEOUT);
        // When
        RecordingAnswer next = fixture.ask(a);
        fixture.time.advance(FIRST_PAUSE);
        // Then
        assertThat(next.answered()).isFalse();
        assertThat(fixture.calls()).isEqualTo(2);
    }

    @Test
    void letsNobodyWaitForLessThanItCanBecauseAFlightIsOld() {
        // Given
        fixture.eksAuth.answerAtOnce(UNAVAILABLE);
        List<RecordingAnswer> clients = new ArrayList<>();
        // When
        for (int i = 0; i < 50; i++) {
            clients.add(fixture.ask(a));
            fixture.time.advance(DEADLINE.dividedBy(2));
        }
        fixture.time.advance(DEADLINE);
        // Then
        assertThat(clients).allSatisfy(client -> assertThat(client.took()).isEqualTo(DEADLINE));
    }

    @Test
    void keepsNothingOfThoseWhoHaveLeftAnOldFlight() {
        // Given
        fixture = new ServiceFixture(ServiceFixture.concurrentFetches(1));
        fixture.ask(b);
        for (int i = 0; i < 50; i++) {
            fixture.ask(a, "10.0.0." + i);
        }
        int before = fixture.queued();
        // When
        for (int i = 0; i < 40; i++) {
            fixture.ask(a, "10.0.0.7");
            fixture.time.advance(DEADLINE.dividedBy(2));
        }
        // Then
        assertThat(before).isEqualTo(50);
        assertThat(fixture.queued()).isEqualTo(1);
    }

    @Test
    void endsAFlightWhoseCallNeverEndsThoughSomebodyWaits() {
        // Given
        fixture.ask(a);
        // When
        for (int i = 0; i < 40; i++) {
            fixture.ask(a);
            fixture.time.advance(DEADLINE.dividedBy(2));
        }
        // Then
        assertThat(fixture.calls()).isEqualTo(2);
    }

    @Test
    void makesANewCallOnceTheEndOfTheHungFlightIsForgotten() {
        // Given
        fixture.ask(a);
        fixture.time.advance(FLIGHT_TIMEOUT.plusMillis(300));
        RecordingAnswer client = fixture.ask(a);
        // When
        fixture.eksAuth.succeed(1, SIX_HOURS);
        // Then
        assertThat(client.issuedByCall()).isEqualTo(1);
    }

    @Test
    void keepsASuccessThatComesAfterTheFlightsEnd() {
        // Given
        fixture.ask(a);
        fixture.time.advance(FLIGHT_TIMEOUT.plusMillis(10));
        fixture.eksAuth.succeed(0, SIX_HOURS);
        // When
        RecordingAnswer client = fixture.ask(a);
        // Then
        assertThat(client.cache()).isEqualTo(CacheOutcome.HIT);
        assertThat(client.issuedByCall()).isZero();
        assertThat(fixture.inFlight()).isZero();
    }

    @Test
    void neitherRetriesNorRemembersAFailureThatComesAfterTheFlightsEnd() {
        // Given
        fixture.ask(a);
        fixture.time.advance(FLIGHT_TIMEOUT.plusSeconds(1));
        // When
        fixture.eksAuth.fail(0, UNAVAILABLE);
        fixture.time.advance(Duration.ofMinutes(1));
        RecordingAnswer client = fixture.ask(a);
        fixture.eksAuth.succeed(1, SIX_HOURS);
        // Then
        assertThat(client.cache()).isEqualTo(CacheOutcome.MISS);
        assertThat(fixture.calls()).isEqualTo(2);
    }

    @Test
    void remembersATokenThatIsRefusedAfterTheFlightsEnd() {
        // Given
        fixture.ask(a);
        fixture.time.advance(FLIGHT_TIMEOUT.plusSeconds(1));
        // When
        fixture.eksAuth.fail(0, BAD_TOKEN);
        fixture.time.advance(Duration.ofMinutes(1));
        RecordingAnswer client = fixture.ask(a);
        // Then
        assertThat(client.failure()).isSameAs(BAD_TOKEN);
        assertThat(fixture.calls()).isEqualTo(1);
    }

    @Test
    void givesTheSlotBackThoughSomethingGoesWrongWithAnAnswer() {
        // Given
        fixture = new ServiceFixture(ServiceFixture.concurrentFetches(1));
        fixture.ask(a);
        // When
        fixture.eksAuth.fail(0, null);
        fixture.ask(b);
        // Then
        assertThat(fixture.callsFor(b)).isEqualTo(1);
    }

    @Test
    void endsAFlightThatNeverGotASlotWithoutACall() {
        // Given
        fixture = new ServiceFixture(ServiceFixture.concurrentFetches(1));
        fixture.ask(a);
        fixture.ask(b);
        fixture.time.advance(FLIGHT_TIMEOUT);
        // When
        fixture.eksAuth.succeed(0, SIX_HOURS);
        // Then
        assertThat(fixture.callsFor(b)).isZero();
        assertThat(fixture.inFlight()).isZero();
    }

    @Test
    void keepsTheSlotOfACallThatHangsUntilItEnds() {
        // Given
        fixture = new ServiceFixture(ServiceFixture.concurrentFetches(1));
        fixture.ask(a);
        fixture.time.advance(FLIGHT_TIMEOUT);
        fixture.ask(b);
        int before = fixture.callsFor(b);
        // When
        fixture.eksAuth.fail(0, UNAVAILABLE);
        // Then
        assertThat(before).isZero();
        assertThat(fixture.callsFor(b)).isEqualTo(1);
    }

    @Test
    void countsTheTimeThatARequestHasWaitedBefore() {
        // Given
        RecordingAnswer client = new RecordingAnswer(fixture.time);
        client.waitsFor(fixture.service.request(
                unverified(a), ServiceFixture.SOURCE, DEADLINE, DEADLINE.minusMillis(100), client));
        // When
        fixture.time.advanceMillis(99);
        int before = client.answers();
        fixture.time.advanceMillis(1);
        // Then
        assertThat(before).isZero();
        assertThat(client.failure()).isInstanceOf(TransientFailure.class);
    }

    @Test
    void takesAClientThatAsksAgainWhileItIsAnswered() {
        // Given
        RecordingAnswer again = new RecordingAnswer(fixture.time);
        fixture.service.request(
                unverified(a),
                ServiceFixture.SOURCE,
                DEADLINE,
                Duration.ZERO,
                outcome -> fixture.service.request(unverified(a), "10.0.0.1", DEADLINE, Duration.ZERO, again));
        // When
        fixture.eksAuth.fail(0, DENIED);
        // Then
        assertThat(again.failure()).isSameAs(DENIED);
        assertThat(again.cache()).isEqualTo(CacheOutcome.REMEMBERED);
    }

    // Credentials with less than 15 minutes left

    @Test
    void stillServesCredentialsWithFifteenMinutesLeftAsAHit() {
        // Given
        fixture.cached(a, SIX_HOURS);
        fixture.time.advance(SIX_HOURS.minusMinutes(15));
        // When
        RecordingAnswer client = fixture.ask(a);
        // Then
        assertThat(client.cache()).isEqualTo(CacheOutcome.HIT);
        assertThat(fixture.calls()).isEqualTo(1);
    }

    @Test
    void servesCredentialsHoweverFarAwayTheirExpiryIs() {
        // Given
        fixture.ask(a);
        fixture.eksAuth.succeed(0, Instant.parse("9999-12-31T23:59:59Z"));
        // When
        RecordingAnswer client = fixture.ask(a);
        // Then
        assertThat(client.cache()).isEqualTo(CacheOutcome.HIT);
    }

    @Test
    void waitsForFresherCredentialsThanOnesWithLessThanFifteenMinutesLeft() {
        // Given
        cachedWithTenMinutesLeft();
        RecordingAnswer client = fixture.ask(a);
        fixture.time.advanceMillis(500);
        // When
        fixture.eksAuth.succeed(1, SIX_HOURS);
        // Then
        assertThat(client.issuedByCall()).isEqualTo(1);
        assertThat(client.cache()).isEqualTo(CacheOutcome.MISS);
        assertThat(client.took()).isEqualTo(Duration.ofMillis(500));
    }

    @Test
    void servesTheOldCredentialsWhenTheDeadlineComes() {
        // Given
        Credentials old = cachedWithTenMinutesLeft();
        RecordingAnswer client = fixture.ask(a);
        // When
        fixture.time.advance(DEADLINE);
        // Then
        assertThat(client.credentials()).isSameAs(old);
        assertThat(client.cache()).isEqualTo(CacheOutcome.STALE);
        assertThat(client.took()).isEqualTo(DEADLINE);
    }

    @Test
    void servesTheOldCredentialsAtOnceWhileTheFlightIsLate() {
        // Given
        Credentials old = cachedWithTenMinutesLeft();
        fixture.ask(a);
        fixture.time.advance(DEADLINE);
        // When
        RecordingAnswer next = fixture.ask(a);
        // Then
        assertThat(next.credentials()).isSameAs(old);
        assertThat(next.took()).isZero();
        assertThat(fixture.calls()).isEqualTo(2);
    }

    @Test
    void servesTheOldCredentialsAtTheFirstFailureAndWhileTheFlightPauses() {
        // Given
        Credentials old = cachedWithTenMinutesLeft();
        RecordingAnswer waited = fixture.ask(a);
        fixture.time.advanceMillis(20);
        // When
        fixture.eksAuth.fail(1, UNAVAILABLE);
        RecordingAnswer next = fixture.ask(a);
        // Then
        assertThat(waited.credentials()).isSameAs(old);
        assertThat(waited.took()).isEqualTo(Duration.ofMillis(20));
        assertThat(next.credentials()).isSameAs(old);
        assertThat(next.cache()).isEqualTo(CacheOutcome.STALE);
        assertThat(next.took()).isZero();
    }

    @Test
    void servesTheOldCredentialsAtOnceWhileTheTroubleLasts() {
        // Given
        Credentials old = cachedWithTenMinutesLeft();
        fixture.eksAuth.answerAtOnce(UNAVAILABLE);
        fixture.ask(a);
        fixture.time.advance(Duration.ofSeconds(30));
        int calls = fixture.calls();
        // When
        RecordingAnswer client = fixture.ask(a);
        // Then
        assertThat(client.credentials()).isSameAs(old);
        assertThat(client.cache()).isEqualTo(CacheOutcome.STALE);
        assertThat(client.took()).isZero();
        assertThat(fixture.calls()).isEqualTo(calls + 1);
    }

    @Test
    void renewsOldCredentialsThoughNobodyWaitsForThem() {
        // Given
        cachedWithTenMinutesLeft();
        fixture.eksAuth.answerAtOnce(UNAVAILABLE);
        fixture.ask(a);
        fixture.ask(a);
        fixture.eksAuth.issueAtOnce(SIX_HOURS);
        // When
        fixture.time.advance(FIRST_PAUSE);
        // Then
        assertThat(fixture.ask(a).cache()).isEqualTo(CacheOutcome.HIT);
    }

    @Test
    void servesOldCredentialsAtOnceDuringAnOutageOfOthers() {
        // Given
        Credentials old = cachedWithTenMinutesLeft();
        fixture.eksAuth.answerAtOnce(UNAVAILABLE);
        for (int i = 0; i < 20; i++) {
            fixture.ask(token("other-" + i));
        }
        // When
        RecordingAnswer client = fixture.ask(a);
        // Then
        assertThat(client.credentials()).isSameAs(old);
        assertThat(client.took()).isZero();
    }

    @Test
    void neverServesCredentialsThatExpiredWhileTheRequestWaited() {
        // Given
        fixture.cached(a, SIX_HOURS);
        fixture.time.advance(SIX_HOURS.minusMillis(500));
        RecordingAnswer client = fixture.ask(a);
        // When
        fixture.time.advance(DEADLINE);
        // Then
        assertThat(client.failure()).isInstanceOf(TransientFailure.class);
    }

    @Test
    void neverServesCredentialsInTheInstantOfTheirExpiry() {
        // Given
        fixture.cached(a, SIX_HOURS);
        fixture.time.advance(SIX_HOURS);
        RecordingAnswer client = fixture.ask(a);
        // When
        fixture.eksAuth.succeed(1, SIX_HOURS);
        // Then
        assertThat(client.issuedByCall()).isEqualTo(1);
    }

    @Test
    void servesCredentialsUntilTheirLastMomentDuringAnOutage() {
        // Given
        Credentials old = fixture.cached(a, SIX_HOURS);
        fixture.eksAuth.answerAtOnce(UNAVAILABLE);
        fixture.time.advance(SIX_HOURS.minusMinutes(20));
        List<RecordingAnswer> clients = new ArrayList<>();
        // When
        while (fixture.time.now().isBefore(old.expiration())) {
            clients.add(fixture.ask(a));
            fixture.time.advance(Duration.ofSeconds(5));
        }
        RecordingAnswer after = fixture.ask(a);
        fixture.time.advance(DEADLINE);
        // Then
        assertThat(clients).hasSize(240).allSatisfy(client -> assertThat(client.credentials()).isSameAs(old));
        assertThat(after.failure()).isInstanceOf(TransientFailure.class);
    }

    @Test
    void holdsShortLivedCredentialsThatCameTwiceInARow() {
        // Given
        fixture.eksAuth.issueAtOnce(SHORT);
        fixture.ask(a);
        fixture.ask(a);
        // When
        List<RecordingAnswer> held = fixture.ask(100, a);
        fixture.time.advance(SHORT.dividedBy(3).minusMillis(1));
        held.addAll(fixture.ask(100, a));
        int calls = fixture.calls();
        fixture.time.advanceMillis(1);
        RecordingAnswer after = fixture.ask(a);
        // Then
        assertThat(calls).isEqualTo(2);
        assertThat(held).allSatisfy(client -> assertThat(client.cache()).isEqualTo(CacheOutcome.HIT));
        assertThat(after.issuedByCall()).isEqualTo(2);
    }

    @Test
    void costsFewCallsWhenEveryAnswerIsShortLived() {
        // Given
        fixture.eksAuth.issueAtOnce(SHORT);
        // When
        for (int second = 0; second < 3600; second++) {
            fixture.ask(a).credentials();
            fixture.time.advance(Duration.ofSeconds(1));
        }
        // Then
        assertThat(fixture.calls()).isEqualTo(19);
    }

    @Test
    void holdsNoMoreOnceALongLivedAnswerCame() {
        // Given
        fixture.cached(a, SHORT);
        fixture.cached(a, SHORT);
        fixture.time.advance(SHORT.dividedBy(3));
        fixture.cached(a, SIX_HOURS);
        fixture.time.advance(SIX_HOURS.minus(SHORT));
        // When
        RecordingAnswer client = fixture.ask(a);
        fixture.eksAuth.succeed(3, SHORT);
        RecordingAnswer next = fixture.ask(a);
        fixture.eksAuth.succeed(4, SIX_HOURS);
        // Then
        assertThat(client.issuedByCall()).isEqualTo(3);
        assertThat(next.issuedByCall()).isEqualTo(4);
    }

    @Test
    void removesValidCredentialsWhenEksAuthRefusesAndAnswersTheRefusal() {
        // Given
        cachedWithTenMinutesLeft();
        RecordingAnswer client = fixture.ask(a);
        // When
        fixture.eksAuth.fail(1, DENIED);
        RecordingAnswer next = fixture.ask(a);
        // Then
        assertThat(client.failure()).isSameAs(DENIED);
        assertThat(next.failure()).isSameAs(DENIED);
        assertThat(fixture.entries()).isZero();
        assertThat(fixture.bytes()).isZero();
        assertThat(fixture.evicted(EvictionCause.REFUSED)).isEqualTo(1);
    }

    // Tokens with the same claims

    @Test
    void neverGivesATokenTheCredentialsOfAnotherWithTheSameClaims() {
        // Given
        WorkloadClaims claims = new WorkloadClaims("payments", "ledger", "ledger-0", "pod-uid", "");
        ServiceAccountToken genuine = TokenBuilder.of("genuine").claiming(claims).build();
        ServiceAccountToken forged = TokenBuilder.of("forged").claiming(claims).build();
        fixture.cached(genuine, SIX_HOURS);
        // When
        RecordingAnswer client = fixture.ask(forged);
        fixture.eksAuth.fail(1, DENIED);
        // Then
        assertThat(client.failure()).isSameAs(DENIED);
        assertThat(fixture.ask(genuine).issuedFor()).isEqualTo("genuine");
        assertThat(fixture.entries()).isEqualTo(1);
    }

    @Test
    void neverLetsATokenJoinTheFlightOfAnotherWithTheSameClaims() {
        // Given
        WorkloadClaims claims = new WorkloadClaims("payments", "ledger", "ledger-0", "pod-uid", "");
        RecordingAnswer genuine = fixture.ask(TokenBuilder.of("genuine").claiming(claims).build());
        RecordingAnswer forged = fixture.ask(TokenBuilder.of("forged").claiming(claims).build());
        // When
        fixture.eksAuth.succeed(0, SIX_HOURS);
        fixture.eksAuth.fail(1, DENIED);
        // Then
        assertThat(genuine.issuedFor()).isEqualTo("genuine");
        assertThat(forged.failure()).isSameAs(DENIED);
    }

    @Test
    void goesByTheFingerprintOfTheTokenAlone() {
        // Given
        ServiceAccountToken token = token("same");
        ServiceAccountToken otherFingerprint = new ServiceAccountToken(
                token.raw(), token("x").fingerprint(), token.validity(), token.claims());
        fixture.cached(token, SIX_HOURS);
        // When
        RecordingAnswer client = fixture.ask(otherFingerprint);
        fixture.eksAuth.succeed(1, SIX_HOURS);
        // Then
        assertThat(client.issuedByCall()).isEqualTo(1);
        assertThat(client.cache()).isEqualTo(CacheOutcome.MISS);
    }

    // Caching off

    static Stream<CredentialSettings> cachingOff() {
        return Stream.of(ServiceFixture.cacheSize(0), ServiceFixture.retention(Duration.ZERO));
    }

    @ParameterizedTest
    @MethodSource("cachingOff")
    void stillCoalescesWithCachingOff(CredentialSettings off) {
        // Given
        fixture = new ServiceFixture(off);
        List<RecordingAnswer> clients = fixture.ask(20, a);
        // When
        fixture.eksAuth.succeed(0, SIX_HOURS);
        // Then
        assertThat(clients).allSatisfy(client -> assertThat(client.issuedByCall()).isZero());
        assertThat(fixture.calls()).isEqualTo(1);
    }

    @ParameterizedTest
    @MethodSource("cachingOff")
    void keepsNothingWithCachingOff(CredentialSettings off) {
        // Given
        fixture = new ServiceFixture(off);
        fixture.cached(a, SIX_HOURS);
        // When
        RecordingAnswer next = fixture.ask(a);
        fixture.eksAuth.succeed(1, SIX_HOURS);
        // Then
        assertThat(next.cache()).isEqualTo(CacheOutcome.MISS);
        assertThat(next.issuedByCall()).isEqualTo(1);
        assertThat(fixture.entries()).isZero();
        assertThat(fixture.bytes()).isZero();
    }

    @ParameterizedTest
    @MethodSource("cachingOff")
    void stillRemembersFailuresWithCachingOff(CredentialSettings off) {
        // Given
        fixture = new ServiceFixture(off);
        fixture.ask(a);
        fixture.eksAuth.fail(0, DENIED);
        // When
        RecordingAnswer next = fixture.ask(a);
        // Then
        assertThat(next.cache()).isEqualTo(CacheOutcome.REMEMBERED);
        assertThat(fixture.calls()).isEqualTo(1);
    }

    // Bounds

    @Test
    void boundsTheCallsInFlightAndServesAllInTheEnd() {
        // Given
        List<RecordingAnswer> clients = new ArrayList<>();
        for (int i = 0; i < 50; i++) {
            clients.add(fixture.ask(token("token-" + i), "10.0.0." + i % 7));
        }
        int inFlight = fixture.inFlight();
        // When
        for (int i = 0; i < 50; i++) {
            fixture.time.advanceMillis(10);
            fixture.eksAuth.succeed(i, SIX_HOURS);
        }
        // Then
        assertThat(inFlight).isEqualTo(10);
        assertThat(fixture.eksAuth.mostOpen()).isEqualTo(10);
        assertThat(fixture.calls()).isEqualTo(50);
        for (int i = 0; i < 50; i++) {
            assertThat(clients.get(i).issuedFor()).isEqualTo("token-" + i);
        }
    }

    @Test
    void boundsTheCallsInFlightWhileFlightsRetry() {
        // Given
        fixture.eksAuth.answerAtOnce(UNAVAILABLE);
        for (int i = 0; i < 30; i++) {
            fixture.ask(token("token-" + i));
        }
        fixture.eksAuth.hang();
        // When
        fixture.time.advance(Duration.ofSeconds(10));
        // Then
        assertThat(fixture.inFlight()).isEqualTo(10);
    }

    @Test
    void startsTheCallOfAModestSourceNextToOneThatAsksForThousands() {
        // Given
        for (int i = 0; i < 3000; i++) {
            fixture.ask(token("greedy-" + i), "10.0.0.66");
        }
        RecordingAnswer modest = fixture.ask(a, "10.0.0.1");
        // When
        fixture.eksAuth.succeed(0, SIX_HOURS);
        fixture.eksAuth.succeed(1, SIX_HOURS);
        fixture.eksAuth.last().succeed(START.plus(SIX_HOURS));
        // Then
        assertThat(modest.issuedFor()).isEqualTo("a");
        assertThat(fixture.calls()).isLessThanOrEqualTo(13);
    }

    @Test
    void turnsAwayASourceWhoseFlightsHoldTooMuchAndNoOther() {
        // Given
        List<RecordingAnswer> admitted = large("10.0.0.66", 8);
        // When
        RecordingAnswer rejected = fixture.ask(a, "10.0.0.66");
        RecordingAnswer other = fixture.ask(b, "10.0.0.1");
        // Then
        EksAuthFailure failure = rejected.failure();
        assertThat(failure).isInstanceOf(TransientFailure.class);
        assertThat(failure.code()).isEqualTo("ThrottlingException");
        assertThat(rejected.took()).isZero();
        assertThat(admitted).noneMatch(RecordingAnswer::answered);
        assertThat(other.answered()).isFalse();
        assertThat(fixture.callsFor(b)).isEqualTo(1);
    }

    @Test
    void letsARejectedSourceJoinAFlightAndHitTheCache() {
        // Given
        fixture.cached(b, SIX_HOURS);
        large("10.0.0.66", 8);
        fixture.ask(a, "10.0.0.1");
        // When
        RecordingAnswer hit = fixture.ask(b, "10.0.0.66");
        RecordingAnswer joined = fixture.ask(a, "10.0.0.66");
        // Then
        assertThat(hit.cache()).isEqualTo(CacheOutcome.HIT);
        assertThat(joined.answered()).isFalse();
    }

    @Test
    void servesARejectedSourceItsOldCredentials() {
        // Given
        Credentials old = cachedWithTenMinutesLeft();
        large(ServiceFixture.SOURCE, 8);
        // When
        RecordingAnswer client = fixture.ask(a, ServiceFixture.SOURCE);
        // Then
        assertThat(client.credentials()).isSameAs(old);
        assertThat(client.cache()).isEqualTo(CacheOutcome.STALE);
    }

    @Test
    void admitsASourceAgainWhenItsFlightsHaveEnded() {
        // Given
        large("10.0.0.66", 8);
        for (FakeEksAuth.Call call : fixture.eksAuth.open()) {
            call.answer(DENIED);
        }
        // When
        RecordingAnswer client = fixture.ask(a, "10.0.0.66");
        fixture.eksAuth.last().succeed(START.plus(SIX_HOURS));
        // Then
        assertThat(client.issuedFor()).isEqualTo("a");
    }

    @Test
    void remembersNoRejection() {
        // Given
        large("10.0.0.66", 8);
        fixture.ask(a, "10.0.0.66");
        // When
        RecordingAnswer client = fixture.ask(a, "10.0.0.1");
        // Then
        assertThat(client.answered()).isFalse();
        assertThat(fixture.callsFor(a)).isEqualTo(1);
    }

    // How many calls to EKS Auth one source address may cause

    @Test
    void asksForAHundredMadeUpTokensAtOnceAndTenASecond() {
        // Given
        fixture = new ServiceFixture(ServiceFixture.concurrentFetches(100));
        fixture.eksAuth.script(call -> fixture.time.schedule(Duration.ofMillis(50), () -> call.answer(BAD_TOKEN)));
        // When
        for (int round = 0; round < 6; round++) {
            for (int i = 0; i < 900; i++) {
                fixture.ask(token("made-up-" + round + "-" + i), "10.0.0.66");
            }
            fixture.time.advance(Duration.ofSeconds(2));
        }
        // Then
        assertThat(fixture.calls()).isBetween(200, 100 + 10 * 12);
        assertThat(fixture.count("pod_identity_limit_rejections", "limit", "refusals")).isGreaterThan(5000);
    }

    @Test
    void servesManyIdentitiesOfOneSourceHoweverFewPermitsItHas() {
        // Given
        fixture = new ServiceFixture(ServiceFixture.concurrentFetches(1000));
        List<RecordingAnswer> clients = new ArrayList<>();
        for (int i = 0; i < 250; i++) {
            clients.add(fixture.ask(token("token-" + i)));
        }
        int atOnce = fixture.calls();
        // When
        for (int i = 0; i < 250; i++) {
            fixture.eksAuth.succeed(i, SIX_HOURS);
        }
        // Then
        assertThat(atOnce).isEqualTo(FetchQueue.FAILURES_AT_ONCE);
        assertThat(clients).allSatisfy(client -> assertThat(client.credentials()).isNotNull());
        assertThat(fixture.count("pod_identity_limit_rejections", "limit", "refusals")).isZero();
    }

    @Test
    void turnsAwayWhatStillWaitsForAPermitThatNobodyGivesBack() {
        // Given
        fixture = new ServiceFixture(ServiceFixture.concurrentFetches(1000));
        List<RecordingAnswer> clients = new ArrayList<>();
        for (int i = 0; i < 150; i++) {
            clients.add(fixture.ask(token("token-" + i)));
        }
        // When
        for (int i = 0; i < 100; i++) {
            fixture.eksAuth.fail(i, DENIED);
        }
        // Then
        assertThat(fixture.calls()).isEqualTo(100);
        assertThat(clients.subList(100, 150)).allSatisfy(client -> {
            assertThat(client.failure().code()).isEqualTo("ThrottlingException");
            assertThat(client.took()).isZero();
        });
        assertThat(fixture.count("pod_identity_limit_rejections", "limit", "refusals")).isEqualTo(50);
    }

    @Test
    void callsForWhatWaitsForAPermitAsSoonAsOneComesBackWithTime() {
        // Given
        fixture = new ServiceFixture(ServiceFixture.concurrentFetches(1000));
        fixture.eksAuth.answerAtOnce(BAD_TOKEN);
        for (int i = 0; i < 99; i++) {
            fixture.ask(token("made-up-" + i));
        }
        fixture.eksAuth.hang();
        fixture.ask(a);
        fixture.ask(b);
        // When
        fixture.eksAuth.last().answer(UNAVAILABLE);
        fixture.time.advanceMillis(99);
        int beforeThePermit = fixture.callsFor(b);
        fixture.time.advanceMillis(10);
        // Then
        assertThat(beforeThePermit).isZero();
        assertThat(fixture.callsFor(b)).isEqualTo(1);
    }

    @Test
    void makesFiveCallsForAPermitOfASource() {
        // Given
        fixture = new ServiceFixture(ServiceFixture.concurrentFetches(1000));
        fixture.eksAuth.script(call -> call.answer(call.token().raw().startsWith("made-up") ? BAD_TOKEN : UNAVAILABLE));
        int seconds = 10;
        // When
        for (int i = 0; i < 20 * seconds; i++) {
            fixture.ask(a);
            fixture.ask(b);
            for (int j = 0; j < 20; j++) {
                fixture.ask(token("made-up-" + i + "-" + j));
            }
            fixture.time.advanceMillis(50);
        }
        // Then
        long failed = fixture.called("failed", "ServiceUnavailableException");
        long refused = fixture.called("refused", "InvalidTokenException");
        int permits = 100 + 10 * seconds;
        assertThat(failed).isGreaterThan(20);
        assertThat(refused + failed / 5.0).isBetween(permits - 5.0, permits + 2.0);
    }

    // While EKS Auth throttles

    @Test
    void slowsTheWholeNodeDownWhileEksAuthThrottles() {
        // Given
        fixture = new ServiceFixture(ServiceFixture.concurrentFetches(100));
        fixture.eksAuth.script(call -> fixture.time.schedule(Duration.ofMillis(20), () -> call.answer(THROTTLED)));
        // When
        for (int second = 0; second < 12; second++) {
            for (int i = 0; i < 300; i++) {
                fixture.ask(token("token-" + second + "-" + i), "10.0.0." + i);
            }
            fixture.time.advance(Duration.ofSeconds(1));
        }
        // Then
        int before = fixture.calls();
        fixture.time.advance(Duration.ofSeconds(1));
        assertThat(before).isLessThan(600);
        assertThat(fixture.calls() - before).isLessThanOrEqualTo(10);
    }

    @Test
    void servesAWaitingPodWithinASecondOnceEksAuthThrottlesNoMore() {
        // Given
        fixture.eksAuth.answerAtOnce(THROTTLED);
        fixture.ask(a);
        fixture.time.advance(Duration.ofSeconds(1));
        fixture.eksAuth.issueAtOnce(SIX_HOURS);
        // When
        RecordingAnswer retry = fixture.ask(a);
        fixture.time.advance(Duration.ofSeconds(1));
        // Then
        assertThat(retry.issuedFor()).isEqualTo("a");
    }

    @Test
    void saysThatEksAuthThrottlesToWhoeverWaitsForItsTurnBecauseOfThat() {
        // Given
        fixture.eksAuth.answerAtOnce(THROTTLED);
        fixture.ask(a);
        for (int i = 0; i < 20; i++) {
            fixture.ask(token("token-" + i));
        }
        RecordingAnswer last = fixture.ask(b);
        // When
        fixture.time.advance(DEADLINE);
        // Then
        assertThat(last.failure().code()).isEqualTo("ThrottlingException");
        assertThat(fixture.callsFor(b)).isZero();
    }

    // Changes of the wall clock

    @Test
    void remembersNoFailureLongerBecauseTheClockWasSetBack() {
        // Given
        fixture.time.setClockAhead(Duration.ofHours(2));
        fixture.eksAuth.answerAtOnce(UNAVAILABLE);
        fixture.ask(a);
        fixture.time.advance(Duration.ofSeconds(4));
        fixture.time.setClockAhead(Duration.ZERO);
        fixture.eksAuth.issueAtOnce(SIX_HOURS);
        // When
        fixture.time.advance(Duration.ofSeconds(5));
        RecordingAnswer client = fixture.ask(a);
        // Then
        assertThat(client.issuedFor()).isEqualTo("a");
    }

    @Test
    void servesNoExpiredCredentialsBecauseTheClockWasSetBack() {
        // Given
        fixture.cached(a, Duration.ofHours(1));
        fixture.time.setClockAhead(Duration.ofHours(-2));
        fixture.time.advance(Duration.ofMinutes(61));
        // When
        RecordingAnswer client = fixture.ask(a);
        // Then
        assertThat(client.answered()).isFalse();
        assertThat(fixture.calls()).isEqualTo(2);
    }

    @Test
    void refusesATokenUntilItExpires() {
        // Given
        fixture.ask(a);
        fixture.eksAuth.fail(0, BAD_TOKEN);
        // When
        fixture.time.advance(Duration.ofHours(1));
        RecordingAnswer again = fixture.ask(a);
        // Then
        assertThat(again.failure()).isSameAs(BAD_TOKEN);
        assertThat(again.cache()).isEqualTo(CacheOutcome.REMEMBERED);
        assertThat(fixture.calls()).isEqualTo(1);
    }

    // Outages

    @Test
    void servesEveryRequestFromTheCacheDuringAnOutage() {
        // Given
        fixture.eksAuth.issueAtOnce(SIX_HOURS);
        List<ServiceAccountToken> tokens = new ArrayList<>();
        for (int i = 0; i < 2000; i++) {
            tokens.add(token("token-" + i));
            fixture.ask(tokens.get(i));
        }
        fixture.eksAuth.answerAtOnce(UNAVAILABLE);
        fixture.time.advance(Duration.ofHours(5));
        // When
        List<RecordingAnswer> clients = tokens.stream().map(fixture::ask).toList();
        // Then
        assertThat(fixture.calls()).isEqualTo(2000);
        assertThat(fixture.entries()).isEqualTo(2000);
        assertThat(clients).allSatisfy(client -> assertThat(client.cache()).isEqualTo(CacheOutcome.HIT));
        for (int i = 0; i < 2000; i++) {
            assertThat(clients.get(i).issuedFor()).isEqualTo("token-" + i);
        }
    }

    @Test
    void keepsNoMoreEntriesThanConfigured() {
        // Given
        fixture = new ServiceFixture(ServiceFixture.cacheSize(10));
        fixture.eksAuth.issueAtOnce(SIX_HOURS);
        // When
        for (int i = 0; i < 25; i++) {
            fixture.ask(token("token-" + i));
            fixture.ask(token("token-0"));
        }
        // Then
        assertThat(fixture.entries()).isEqualTo(10);
        assertThat(fixture.evicted(EvictionCause.SIZE)).isEqualTo(15);
        assertThat(fixture.count("pod_identity_cache_state", "state", "evicted")).isEqualTo(15);
        assertThat(fixture.callsFor(token("token-0"))).isEqualTo(1);
    }

    private Credentials cachedWithTenMinutesLeft() {
        Credentials old = fixture.cached(a, SIX_HOURS);
        fixture.time.advance(SIX_HOURS.minus(SHORT));
        return old;
    }

    /** Sends requests whose tokens each take an eighth of the bytes that one source address may hold. */
    private List<RecordingAnswer> large(String source, int count) {
        List<RecordingAnswer> clients = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            clients.add(fixture.ask(token(i + "x".repeat((int) FetchQueue.MOST_BYTES_PER_SOURCE / 8 - FetchQueue.OVERHEAD - 1)), source));
        }
        return clients;
    }

    @Test
    void answersTheOthersWhenOneClientsAnswerThrows() {
        // Given
        fixture.service.request(unverified(a), ServiceFixture.SOURCE, DEADLINE, Duration.ZERO, outcome -> {
            throw new IllegalStateException("closed");
        });
        RecordingAnswer other = fixture.ask(a);
        // When
        fixture.eksAuth.succeed(0, SIX_HOURS);
        // Then
        assertThat(other.answered()).isTrue();
    }

    @Test
    void servesWhoWaitsForTheNextFlightWhenTheLastOnesCallSucceedsLate() {
        // Given
        fixture.ask(a);
        fixture.time.advance(Duration.ofMillis(15_300));
        RecordingAnswer client = fixture.ask(a);
        // When
        fixture.eksAuth.succeed(0, SIX_HOURS);
        fixture.time.advance(Duration.ofSeconds(1));
        // Then
        assertThat(client.issuedByCall()).isZero();
    }

    @Test
    void letsNoFailureOfAnOlderFlightOutliveLateCredentials() {
        // Given
        fixture.ask(a);
        fixture.time.advance(Duration.ofMillis(15_300));
        fixture.ask(a);
        // When
        fixture.eksAuth.succeed(0, SIX_HOURS);
        fixture.eksAuth.fail(1, FakeEksAuth.UNAVAILABLE);
        // Then
        assertThat(fixture.ask(a).cache()).isEqualTo(CacheOutcome.HIT);
    }
}
