package dev.podidentity.agent.credentials;

import static dev.podidentity.agent.config.CoalesceScope.ROLE;
import static dev.podidentity.agent.testing.FakeTime.START;
import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class PodTokensTest {

    private final PodTokens pods = new PodTokens();
    private final Caller a1 = token("a", 1, 100);
    private final Caller a2 = token("a", 2, 200);
    private final Caller b1 = token("b", 1, 150);
    private final Caller c1 = token("c", 1, 50);

    @Test
    void keepsATokenOfEachPod() {
        // Given
        learn(a1, b1, c1);
        // When
        learn(b1);
        // Then
        assertThat(pods.all()).containsExactlyInAnyOrder(a1, b1, c1);
    }

    @Test
    void replacesATokenByAFresherOneOfItsPod() {
        // Given
        learn(a1, b1);
        // When
        learn(a2);
        // Then
        assertThat(pods.all()).containsExactlyInAnyOrder(a2, b1);
    }

    @Test
    void keepsTheFresherTokenWhenTheOlderOneIsShownAgain() {
        // Given
        learn(a2);
        // When
        learn(a1);
        // Then
        assertThat(pods.all()).containsExactly(a2);
    }

    @Test
    void findsTheFreshestTokenThatWillDo() {
        // Given
        learn(a2, b1, c1);
        // When
        var any = pods.freshest(caller -> true);
        var notOfA = pods.freshest(caller -> !caller.podUid().equals("a-uid"));
        var none = pods.freshest(caller -> false);
        // Then
        assertThat(any).contains(a2);
        assertThat(notOfA).contains(b1);
        assertThat(none).isEmpty();
    }

    @Test
    void forgetsAPod() {
        // Given
        learn(a1, b1);
        // When
        pods.remove("a-uid");
        pods.remove("nobody");
        // Then
        assertThat(pods.has("a-uid")).isFalse();
        assertThat(pods.all()).containsExactly(b1);
    }

    @Test
    void forgetsATokenButNotTheOneThatReplacedIt() {
        // Given
        learn(a2, b1);
        // When
        pods.remove(a1);
        pods.remove(b1);
        // Then
        assertThat(pods.all()).containsExactly(a2);
    }

    @Test
    void forgetsExpiredTokensWhileThereIsAnother() {
        // Given
        learn(a1, b1, c1);
        // When
        pods.removeExpired(START.plusSeconds(100));
        // Then
        assertThat(pods.all()).containsExactly(b1);
    }

    @Test
    void keepsExpiredTokensWhenThereIsNoOther() {
        // Given
        learn(a1, c1);
        // When
        pods.removeExpired(START.plusSeconds(100));
        // Then
        assertThat(pods.all()).containsExactlyInAnyOrder(a1, c1);
    }

    @Test
    void forgetsThePodThatAskedLeastRecently() {
        // Given
        learn(a2, b1, c1, a1);
        // When
        pods.removeLeastRecent();
        // Then
        assertThat(pods.all()).containsExactlyInAnyOrder(a2, c1);
    }

    @Test
    void countsBytesUpAndDownToZero() {
        // Given
        learn(a1);
        long one = pods.bytes();
        learn(b1);
        long two = pods.bytes();
        Caller longer = token("b", 1_000_000, 300);
        // When
        learn(longer);
        long replaced = pods.bytes();
        pods.remove("a-uid");
        pods.remove(longer);
        // Then
        assertThat(one).isGreaterThan(a1.token().raw().length());
        assertThat(two).isEqualTo(2 * one);
        assertThat(replaced).isEqualTo(two + 6);
        assertThat(pods.bytes()).isZero();
    }

    private void learn(Caller... callers) {
        for (Caller caller : callers) {
            pods.learn(caller);
        }
    }

    private static Caller token(String pod, int number, int secondsLeft) {
        return Pod.of(pod).verified(ROLE, number, START.plusSeconds(secondsLeft));
    }
}
