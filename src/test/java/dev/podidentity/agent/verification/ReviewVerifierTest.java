package dev.podidentity.agent.verification;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.outbound.CallFailure;
import dev.podidentity.agent.testing.FakeLoop;
import dev.podidentity.agent.testing.FakeTime;
import dev.podidentity.agent.testing.TestLoop;
import dev.podidentity.agent.testing.Tokens;
import dev.podidentity.agent.token.NotVerified;
import dev.podidentity.agent.token.NotVerified.Reason;
import dev.podidentity.agent.token.RejectedToken;
import dev.podidentity.agent.token.ServiceAccountToken;
import dev.podidentity.agent.token.VerifiedClaims;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class ReviewVerifierTest {

    private static final String SOURCE = "10.0.0.1";

    private static final VerifiedClaims GOOD =
            new VerifiedClaims("https://issuer", "shop", "cart", "sa-uid", "pod-1", "pod-uid", Optional.of("node-1"));
    private static final RejectedToken BAD = RejectedToken.invalid("The API server does not know the token");
    private static final CallFailure DOWN = new CallFailure("The API server does not answer", false);
    private static final CallFailure FORBIDDEN = new CallFailure("The agent may not create tokenreviews", true);
    private static final NotVerified API_SERVER = new NotVerified(Reason.API_SERVER);
    private static final NotVerified NOT_PERMITTED = new NotVerified(Reason.NOT_PERMITTED);
    private static final NotVerified LIMIT = new NotVerified(Reason.LIMIT);

    private final FakeTime time = new FakeTime();
    private final FakeLoop loop = new FakeLoop();
    private final FakeTokenReviewer reviewer = new FakeTokenReviewer();
    private final ReviewVerifier verifier =
            new ReviewVerifier(reviewer, 1000, time.clock(), time.nanos(), new TestLoop(time, loop), () -> 0);
    private final ServiceAccountToken token = token("pod-1");

    @Test
    void asksOnceForAllWhoAskAtATime() {
        // Given
        List<RecordingVerdict> all = new ArrayList<>();
        for (int i = 0; i < 100; i++) {
            all.add(verify(token));
        }
        assertThat(reviewer.reviews()).isEqualTo(1);

        // When
        reviewer.answer(GOOD);

        // Then
        assertThat(all).allSatisfy(one -> assertThat(one.verdict()).isEqualTo(GOOD));
        assertThat(time.pending()).as("timers left").isZero();
    }

    @Test
    void remembersAGoodWordForFiveMinutes() {
        // Given
        reviewer.answerAtOnce(GOOD);
        verify(token);

        // When, Then
        time.advance(Duration.ofMinutes(5).minusMillis(1));
        assertThat(verify(token).verdict()).isEqualTo(GOOD);
        assertThat(reviewer.reviews()).isEqualTo(1);
        time.advanceMillis(1);
        assertThat(verify(token).verdict()).isEqualTo(GOOD);
        assertThat(reviewer.reviews()).isEqualTo(2);
    }

    @Test
    void remembersARefusalForTenSeconds() {
        // Given
        reviewer.answerAtOnce(BAD);
        assertThat(verify(token).verdict()).isEqualTo(BAD);

        // When, Then
        time.advance(Duration.ofMillis(9_999));
        assertThat(verify(token).verdict()).isEqualTo(BAD);
        assertThat(reviewer.reviews()).isEqualTo(1);
        time.advanceMillis(1);
        reviewer.answerAtOnce(GOOD);
        assertThat(verify(token).verdict()).isEqualTo(GOOD);
    }

    @Test
    void takesBackAGoodWord() {
        // Given: a pod that is deleted meanwhile
        reviewer.answerAtOnce(GOOD);
        verify(token);
        time.advance(Duration.ofMinutes(5));
        reviewer.answerAtOnce(BAD);
        assertThat(verify(token).verdict()).isEqualTo(BAD);

        // When
        time.advance(Duration.ofSeconds(10));
        reviewer.failAtOnce(DOWN);

        // Then
        assertThat(verify(token).verdict()).isEqualTo(BAD);
    }

    @ParameterizedTest
    @MethodSource("trouble")
    void keepsATokenRefusedThatWasRefusedBefore(Consumer<FakeTokenReviewer> trouble) {
        // Given: a pod that was running once, and one that never was
        reviewer.answerAtOnce(GOOD);
        verify(token);
        time.advance(Duration.ofMinutes(5));
        reviewer.answerAtOnce(BAD);
        verify(token);
        verify(token("forged"));
        trouble.accept(reviewer);

        // When, Then
        for (int hour = 0; hour < 24; hour++) {
            time.advance(Duration.ofMinutes(57));
            assertThat(verify(token).verdict()).isEqualTo(BAD);
            assertThat(verify(token("forged")).verdict()).isEqualTo(BAD);
        }
    }

    static Stream<Consumer<FakeTokenReviewer>> trouble() {
        return Stream.of(
                reviewer -> reviewer.failAtOnce(DOWN),
                reviewer -> reviewer.failAtOnce(FORBIDDEN),
                reviewer -> reviewer.answerAtOnce(API_SERVER));
    }

    @Test
    void keepsATokenRefusedWhileTheApiServerTakesItsTime() {
        // Given
        reviewer.answerAtOnce(BAD);
        verify(token);
        time.advance(Duration.ofSeconds(10));
        reviewer.answerWhenTold();

        // When
        RecordingVerdict late = verify(token);
        time.advanceMillis(300);

        // Then
        assertThat(late.verdict()).isEqualTo(BAD);
        assertThat(verify(token).verdict()).isEqualTo(BAD);
    }

    @Test
    void letsNoMadeUpTokensCrowdOutTheRefusalOfOneThatWasGood() {
        // Given
        reviewer.answerAtOnce(GOOD);
        verify(token);
        time.advance(Duration.ofMinutes(5));
        reviewer.answerAtOnce(BAD);
        verify(token);

        // When
        for (int i = 0; i < 300; i++) {
            verify(token("forged-" + i), "10.0.1." + i);
        }
        reviewer.failAtOnce(DOWN);
        time.advance(Duration.ofSeconds(10));

        // Then
        assertThat(verify(token).verdict()).isEqualTo(BAD);
    }

    @Test
    void takesBackARefusal() {
        // Given: a pod that the API server does not know yet
        reviewer.answerAtOnce(BAD);
        verify(token);
        time.advance(Duration.ofSeconds(10));
        reviewer.answerAtOnce(GOOD);
        verify(token);

        // When
        time.advance(Duration.ofMinutes(5));
        reviewer.failAtOnce(DOWN);

        // Then
        assertThat(verify(token).verdict()).isEqualTo(GOOD);
    }

    @Test
    void keepsAGoodWordWhileTheApiServerIsAwayUntilTheTokenExpires() {
        // Given
        reviewer.answerAtOnce(GOOD);
        verify(token);
        reviewer.failAtOnce(DOWN);

        // When, Then
        for (int hour = 1; hour < 24; hour++) {
            time.advance(Duration.ofHours(1));
            assertThat(verify(token).verdict()).isEqualTo(GOOD);
        }
        time.advance(Duration.ofHours(1));
        assertThat(verify(token).verdict()).isEqualTo(API_SERVER);
    }

    @Test
    void givesAGoodWordWhenTheApiServerTakesTooLongToRepeatIt() {
        // Given
        reviewer.answerAtOnce(GOOD);
        verify(token);
        time.advance(Duration.ofMinutes(5));
        reviewer.answerWhenTold();

        // When
        RecordingVerdict first = verify(token);
        time.advanceMillis(299);
        assertThat(first.waits()).isTrue();
        time.advanceMillis(1);

        // Then
        assertThat(first.verdict()).isEqualTo(GOOD);
        assertThat(verify(token).verdict()).as("at once, as that review is late").isEqualTo(GOOD);
        assertThat(reviewer.reviews()).isEqualTo(2);
    }

    @Test
    void leavesATokenToEksAuthIfThereIsNoAnswerInTimeAndRemembersTheAnswer() {
        // Given
        RecordingVerdict first = verify(token);
        time.advanceMillis(200);
        RecordingVerdict second = verify(token);

        // When, Then
        time.advanceMillis(100);
        assertThat(first.verdict()).isEqualTo(API_SERVER);
        assertThat(second.waits()).isTrue();
        assertThat(verify(token).verdict()).as("at once").isEqualTo(API_SERVER);
        reviewer.answer(GOOD);
        assertThat(second.verdict()).isEqualTo(GOOD);
        assertThat(verify(token).verdict()).isEqualTo(GOOD);
        assertThat(reviewer.reviews()).isEqualTo(1);
    }

    @Test
    void asksNobodyForASecondAfterAFailure() {
        // Given
        reviewer.failAtOnce(DOWN);
        assertThat(verify(token).verdict()).isEqualTo(API_SERVER);

        // When
        for (int i = 0; i < 1000; i++) {
            assertThat(verify(token("pod-" + i)).verdict()).isEqualTo(API_SERVER);
        }

        // Then
        assertThat(reviewer.reviews()).isEqualTo(1);
        time.advance(Duration.ofSeconds(1));
        reviewer.answerAtOnce(GOOD);
        assertThat(verify(token).verdict()).isEqualTo(GOOD);
    }

    @Test
    void asksAgainSeldomWithoutPermission() {
        // Given
        reviewer.failAtOnce(FORBIDDEN);
        assertThat(verify(token).verdict()).isEqualTo(NOT_PERMITTED);

        // When: a token arrives every second, for more than six minutes
        for (int second = 0; second < 6 * 60 + 3; second++) {
            time.advance(Duration.ofSeconds(1));
            assertThat(verify(token).verdict()).isEqualTo(NOT_PERMITTED);
        }

        // Then
        assertThat(reviewer.reviews()).isEqualTo(12);

        // When
        time.advance(Duration.ofMinutes(10).minusMillis(1));

        // Then
        assertThat(verify(token).verdict()).isEqualTo(NOT_PERMITTED);
        assertThat(reviewer.reviews()).isEqualTo(12);
        time.advanceMillis(1);
        reviewer.answerAtOnce(GOOD);
        assertThat(verify(token).verdict()).isEqualTo(GOOD);
    }

    @Test
    void doesNotBelieveTheFirstRefusalOfAnApiServerThatHasJustStarted() {
        // Given
        reviewer.failAtOnce(FORBIDDEN);
        verify(token);
        time.advance(Duration.ofSeconds(1));
        verify(token);
        assertThat(reviewer.reviews()).isEqualTo(2);

        // When
        time.advance(Duration.ofSeconds(2).minusMillis(1));
        reviewer.answerAtOnce(GOOD);

        // Then
        assertThat(verify(token).verdict()).isEqualTo(NOT_PERMITTED);
        time.advanceMillis(1);
        assertThat(verify(token).verdict()).isEqualTo(GOOD);

        // When: it starts again
        reviewer.failAtOnce(FORBIDDEN);
        verify(token("other"));
        time.advance(Duration.ofSeconds(1));
        reviewer.answerAtOnce(GOOD);

        // Then
        assertThat(verify(token("other")).verdict()).isEqualTo(GOOD);
    }

    @Test
    void takesRefusalsOfReviewsThatWereUnderWayTogetherForOne() {
        // Given
        for (int i = 0; i < 8; i++) {
            verify(token("pod-" + i));
        }

        // When
        for (int i = 0; i < 8; i++) {
            reviewer.fail(FORBIDDEN);
        }

        // Then
        time.advance(Duration.ofSeconds(1));
        reviewer.answerAtOnce(GOOD);
        assertThat(verify(token).verdict()).isEqualTo(GOOD);
    }

    @Test
    void goesOnAfterAFailureThatNobodyThoughtOf() {
        // Given
        reviewer.failAtOnce(new IllegalStateException("not a source failure"));
        assertThat(verify(token).verdict()).isEqualTo(API_SERVER);

        // When
        time.advance(Duration.ofSeconds(1));
        reviewer.answerAtOnce(GOOD);

        // Then
        assertThat(verify(token).verdict()).isEqualTo(GOOD);
    }

    @Test
    void hasFewReviewsUnderWayAndTheOthersWaitTheirTurn() {
        // Given
        List<RecordingVerdict> waiting = new ArrayList<>();
        for (int i = 0; i < 250; i++) {
            waiting.add(verify(token("pod-" + i)));
        }
        assertThat(reviewer.reviews()).isEqualTo(8);

        // When
        for (int i = 0; i < 250; i++) {
            reviewer.answer(GOOD);
        }

        // Then
        assertThat(waiting).allSatisfy(one -> assertThat(one.verdict()).isEqualTo(GOOD));
        assertThat(reviewer.reviews()).isEqualTo(250);
    }

    @Test
    void asksAboutNoneOfThoseThatWaitOnceTheApiServerFails() {
        // Given
        List<RecordingVerdict> waiting = new ArrayList<>();
        for (int i = 0; i < 100; i++) {
            waiting.add(verify(token("pod-" + i)));
        }

        // When
        reviewer.fail(DOWN);

        // Then
        assertThat(reviewer.reviews()).isEqualTo(8);
        assertThat(waiting).last().extracting(RecordingVerdict::verdict).isEqualTo(new NotVerified(Reason.API_SERVER));
    }

    @Test
    void comesToAnotherPodsTokenThoughOneHasSentHundreds() {
        // Given
        for (int i = 0; i < 256; i++) {
            verify(token("forged-" + i));
        }

        // When
        RecordingVerdict genuine = verify(token, "10.0.0.2");
        for (int i = 0; i < 10; i++) {
            reviewer.answer(GOOD);
        }

        // Then
        assertThat(genuine.verdict()).isEqualTo(GOOD);
    }

    @Test
    void asksNoLongerForASourceWhoseTokensAreRefused() {
        // Given
        reviewer.answerAtOnce(BAD);

        // When
        for (int second = 0; second < 60; second++) {
            for (int i = 0; i < 100; i++) {
                verify(token("forged-" + second + "-" + i));
            }
            time.advance(Duration.ofSeconds(1));
        }

        // Then
        assertThat(reviewer.reviews()).isBetween(20 + 59 - 1, 20 + 60);
        reviewer.answerAtOnce(GOOD);
        assertThat(verify(token("another"), "10.0.0.2").verdict()).isEqualTo(GOOD);
    }

    @Test
    void asksAboutNoMoreThanTwentyMadeUpTokensAtOnceThoughTheApiServerIsSlow() {
        // Given
        List<RecordingVerdict> flood = new ArrayList<>();
        for (int i = 0; i < 256; i++) {
            flood.add(verify(token("forged-" + i)));
        }

        // When
        for (int i = 0; i < 20; i++) {
            reviewer.answer(BAD);
        }

        // Then
        assertThat(reviewer.reviews()).isEqualTo(20);
        assertThat(flood).noneMatch(RecordingVerdict::waits);
        assertThat(flood).last().extracting(RecordingVerdict::verdict).isEqualTo(LIMIT);
    }

    @Test
    void countsAgainstASourceOnlyWhatIsRefused() {
        // Given
        reviewer.answerAtOnce(GOOD);
        for (int i = 0; i < 60; i++) {
            verify(token("good-" + i));
        }
        reviewer.answerAtOnce(new NotVerified(Reason.API_SERVER));
        for (int i = 0; i < 60; i++) {
            verify(token("trouble-" + i));
        }
        for (int i = 0; i < 30; i++) {
            reviewer.failAtOnce(DOWN);
            verify(token("down-" + i));
            time.advance(Duration.ofSeconds(1));
        }

        // When
        reviewer.answerAtOnce(BAD);
        int before = reviewer.reviews();
        for (int i = 0; i < 60; i++) {
            verify(token("forged-" + i));
        }

        // Then
        assertThat(reviewer.reviews() - before).isEqualTo(20);
    }

    @Test
    void givesTheRoomBackOfATokenThatNobodyWaitsForAnyMore() {
        // Given
        for (int i = 0; i < 256; i++) {
            verify(token("pod-" + i));
        }
        assertThat(verify(token("beyond")).verdict()).isEqualTo(LIMIT);

        // When
        time.advanceMillis(300);

        // Then
        assertThat(verify(token("later")).waits()).isTrue();
        assertThat(reviewer.reviews()).as("the others are not asked about any more").isEqualTo(8);
    }

    @Test
    void believesAGoodWordHoweverTheClockJumps() {
        // Given
        reviewer.answerAtOnce(GOOD);
        verify(token);
        reviewer.failAtOnce(DOWN);
        verify(token("down"));

        // When: the token seems to have expired
        time.setClockAhead(Duration.ofHours(48));
        assertThat(verify(token).verdict()).isEqualTo(API_SERVER);
        time.setClockAhead(Duration.ofHours(-48));

        // Then
        assertThat(verify(token).verdict()).isEqualTo(GOOD);
        time.setClockAhead(Duration.ZERO);
        assertThat(verify(token).verdict()).isEqualTo(GOOD);
    }

    @Test
    void asksAgainAfterTheSamePauseHoweverTheClockJumps() {
        // Given
        reviewer.failAtOnce(DOWN);
        time.setClockAhead(Duration.ofHours(2));
        verify(token);
        time.setClockAhead(Duration.ofHours(-2));
        reviewer.answerAtOnce(BAD);

        // When, Then
        time.advance(Duration.ofSeconds(1));
        assertThat(verify(token).verdict()).isEqualTo(BAD);
        time.setClockAhead(Duration.ofHours(2));
        reviewer.answerAtOnce(GOOD);
        assertThat(verify(token).verdict()).isEqualTo(BAD);
        time.setClockAhead(Duration.ZERO);
        time.advance(Duration.ofSeconds(10));
        assertThat(verify(token).verdict()).isEqualTo(GOOD);
    }

    @Test
    void asksTwentyTimesASecondForLong() {
        // Given
        reviewer.answerAtOnce(GOOD);

        // When
        for (int second = 0; second < 60; second++) {
            for (int i = 0; i < 100; i++) {
                verify(token("new-" + second + "-" + i), "10.0.0." + i);
            }
            time.advance(Duration.ofSeconds(1));
        }

        // Then
        assertThat(reviewer.reviews()).isBetween(250 + 59 * 20 - 1, 250 + 60 * 20);
    }

    @Test
    void takesTroubleOfTheApiServerForNoRefusal() {
        // Given
        reviewer.answerAtOnce(GOOD);
        verify(token);
        time.advance(Duration.ofMinutes(5));

        // When
        reviewer.answerAtOnce(new NotVerified(Reason.API_SERVER));

        // Then
        assertThat(verify(token).verdict()).isEqualTo(GOOD);
        assertThat(verify(token("new")).verdict()).isEqualTo(new NotVerified(Reason.API_SERVER));
    }

    @Test
    void keepsAGoodWordBeyondTheLimit() {
        // Given
        reviewer.answerAtOnce(GOOD);
        verify(token);
        time.advance(Duration.ofMinutes(5));
        reviewer.answerAtOnce(BAD);
        for (int i = 0; i < 300; i++) {
            verify(token("forged-" + i));
        }

        // When, Then
        assertThat(verify(token("another")).verdict()).isEqualTo(LIMIT);
        assertThat(verify(token).verdict()).isEqualTo(GOOD);
    }

    private RecordingVerdict verify(ServiceAccountToken asked) {
        return verify(asked, SOURCE);
    }

    private RecordingVerdict verify(ServiceAccountToken asked, String source) {
        RecordingVerdict verdict = new RecordingVerdict();
        loop.execute(() -> verifier.verify(asked, source, verdict));
        return verdict;
    }

    private static ServiceAccountToken token(String pod) {
        return Tokens.read(FakeTime.START, pod);
    }
}
