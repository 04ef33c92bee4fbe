package dev.podidentity.agent.credentials;

import static dev.podidentity.agent.credentials.FakeEksAuth.DENIED;
import static dev.podidentity.agent.credentials.FakeEksAuth.THROTTLED;
import static dev.podidentity.agent.credentials.FakeEksAuth.UNAVAILABLE;
import static dev.podidentity.agent.credentials.TokenBuilder.token;
import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.eksauth.EksAuthAnswer;
import java.time.Duration;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

class OutageTest {

    /** A monotonic clock may start at any value. */
    private static final long START = Long.MAX_VALUE - 1;

    private final Outage outage = new Outage();

    @Test
    void beginsWhenTheCallsOfThreeIdentitiesHaveFailed() {
        // Given
        fail("a", 0);
        fail("b", 0);
        boolean ofTwo = outage.lasts();
        // When
        fail("c", 0);
        // Then
        assertThat(ofTwo).isFalse();
        assertThat(outage.lasts()).isTrue();
    }

    @Test
    void isNoneWhenTheCallsOfOneIdentityFailAgainAndAgain() {
        // Given
        fail("a", 0);
        // When
        for (int i = 0; i < 100; i++) {
            fail("a", i);
        }
        // Then
        assertThat(outage.lasts()).isFalse();
        assertThat(outage.untilNext(START)).isZero();
    }

    @ParameterizedTest
    @MethodSource("answers")
    void endsWithTheFirstCallThatEksAuthAnswers(EksAuthAnswer answer) {
        // Given
        begin();
        // When
        outage.answered(Identity.of(token("a")), answer, START);
        // Then
        assertThat(outage.lasts()).isFalse();
        assertThat(outage.untilNext(START)).isZero();
    }

    static Stream<EksAuthAnswer> answers() {
        return Stream.of(DENIED, THROTTLED);
    }

    @Test
    void countsFailuresAnewAfterAnAnswer() {
        // Given
        fail("a", 0);
        fail("b", 0);
        outage.answered(Identity.of(token("a")), DENIED, START);
        // When
        fail("c", 0);
        // Then
        assertThat(outage.lasts()).isFalse();
    }

    @ParameterizedTest
    @CsvSource({"0, 250", "8000, 250", "12000, 375", "16000, 500", "3600000, 500"})
    void letsOneCallBeMadeInAWhile(long lastedMillis, long intervalMillis) {
        // Given
        begin();
        // When
        outage.called(at(lastedMillis));
        // Then
        assertThat(outage.untilNext(at(lastedMillis))).isEqualTo(Duration.ofMillis(intervalMillis).toNanos());
        assertThat(outage.untilNext(at(lastedMillis + intervalMillis))).isZero();
    }

    @Test
    void neverKeepsARequestFromMeetingACall() {
        // Given
        begin();
        // When
        outage.called(at(Duration.ofDays(1).toMillis()));
        // Then
        assertThat(outage.untilNext(at(Duration.ofDays(1).toMillis()))).isLessThan(ServiceFixture.DEADLINE.toNanos());
    }

    private void begin() {
        fail("a", 0);
        fail("b", 0);
        fail("c", 0);
    }

    private void fail(String of, long millis) {
        outage.answered(Identity.of(token(of)), UNAVAILABLE, at(millis));
    }

    private static long at(long millis) {
        return START + Duration.ofMillis(millis).toNanos();
    }
}
