package dev.podidentity.agent.credentials;

import static dev.podidentity.agent.config.CoalesceScope.POD;
import static dev.podidentity.agent.config.CoalesceScope.ROLE;
import static dev.podidentity.agent.credentials.FakeEksAuth.UNAVAILABLE;
import static dev.podidentity.agent.credentials.TokenBuilder.token;
import static dev.podidentity.agent.testing.FakeTime.START;
import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.token.ServiceAccountToken;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** Tests how the cache lists its entries for the debug endpoint. */
@ExtendWith(QuietLog.class)
class CachedIdentityTest {

    private static final Duration SIX_HOURS = Duration.ofHours(6);
    /** When six-hour credentials are due for renewal if the jitter is zero. */
    private static final Instant DUE = START.plus(Duration.ofHours(3));

    private final ServiceAccountToken a = token("a");
    private ServiceFixture fixture = new ServiceFixture();

    @AfterEach
    void nothingIsLeftOver() {
        fixture.settle();
    }

    @Test
    void namesTheServiceAccountTheRoleAndTheExpiry() {
        // Given
        fixture.cached(a, SIX_HOURS);
        // When
        CachedIdentity shown = only();
        // Then
        assertThat(shown.namespace()).isEqualTo("namespace");
        assertThat(shown.serviceAccount()).isEqualTo("account");
        assertThat(shown.role()).startsWith("arn:aws:sts::");
        assertThat(shown.expiration()).isEqualTo(START.plus(SIX_HOURS));
    }

    @Test
    void namesThePodOfAnExactToken() {
        fixture.cached(a, SIX_HOURS);

        assertThat(only().podName()).contains("pod");
        assertThat(only().podUid()).contains("pod-uid");
        assertThat(only().pods()).isEqualTo(1);
    }

    @Test
    void namesThePodOfAVerifiedOneThatSharesWithNobody() {
        fixture.cached(Pod.of("a").verified(POD), SIX_HOURS);

        assertThat(only().podUid()).contains("a-uid");
        assertThat(only().pods()).isEqualTo(1);
    }

    @Test
    void countsThePodsThatShareAndNamesNone() {
        // Given
        fixture.cached(Pod.of("a").verified(ROLE), SIX_HOURS);
        // When
        fixture.ask(Pod.of("b").verified(ROLE));
        // Then
        assertThat(only().pods()).isEqualTo(2);
        assertThat(only().podName()).isEmpty();
        assertThat(only().podUid()).isEmpty();
    }

    @Test
    void countsHitsOnBothWaysAndNotTheCallThatFilledTheEntry() {
        // Given
        fixture.cached(a, SIX_HOURS);
        long atFirst = only().hits();
        // When
        fixture.ask(a);
        fixture.service.hit(TokenBuilder.unverified(a), fixture.time.now());
        // Then
        assertThat(atFirst).isZero();
        assertThat(only().hits()).isEqualTo(2);
    }

    @Test
    void keepsCountingWhenTheCredentialsAreRenewed() {
        // Given
        fixture.cached(a, SIX_HOURS);
        fixture.ask(a);
        fixture.renewer.start();
        // When
        fixture.time.advance(Duration.between(START, DUE));
        fixture.eksAuth.succeed(1, SIX_HOURS);
        fixture.ask(a);
        // Then
        assertThat(only().hits()).isEqualTo(2);
    }

    @Test
    void doesNotCountWhatIsServedStale() {
        // Given
        fixture.cached(a, SIX_HOURS);
        fixture.eksAuth.answerAtOnce(UNAVAILABLE);
        fixture.time.advance(SIX_HOURS.minusMinutes(5));
        // When
        RecordingAnswer stale = fixture.ask(a);
        fixture.time.advance(ServiceFixture.DEADLINE);
        // Then
        assertThat(stale.credentials()).isNotNull();
        assertThat(only().hits()).isZero();
    }

    @Test
    void saysWhenTheNextRenewalIs() {
        fixture.cached(a, SIX_HOURS);

        assertThat(only().nextRenewal()).contains(DUE);
    }

    @Test
    void saysNothingOfARenewalThatNobodyWouldMake() {
        // Given: renewals are off
        fixture = new ServiceFixture(ServiceFixture.renewalsPerSecond(0));
        fixture.cached(a, SIX_HOURS);
        // Then
        assertThat(only().nextRenewal()).isEmpty();
    }

    @Test
    void saysNothingOfARenewalForWhichNobodyHasAsked() {
        // Given
        fixture.cached(a, SIX_HOURS);
        fixture.renewer.start();
        // When
        fixture.time.advance(Duration.between(START, DUE));
        fixture.eksAuth.succeed(1, SIX_HOURS);
        // Then
        assertThat(only().nextRenewal()).isEmpty();
    }

    @Test
    void saysNothingOfARenewalForWhichThereIsNoTokenThen() {
        fixture.cached(TokenBuilder.of("a").expiringAt(DUE.plusSeconds(30)).build(), SIX_HOURS);

        assertThat(only().nextRenewal()).isEmpty();
    }

    @Test
    void showsTheLastFailureUntilARenewalSucceeds() {
        // Given
        fixture.cached(a, SIX_HOURS);
        boolean atFirst = only().lastFailure().isPresent();
        fixture.renewer.start();
        fixture.time.advance(Duration.between(START, DUE));
        // When
        fixture.eksAuth.fail(1, UNAVAILABLE);
        FailedCall failure = only().lastFailure().orElseThrow();
        Instant next = only().nextRenewal().orElseThrow();
        fixture.time.advance(Duration.ofSeconds(10));
        fixture.eksAuth.succeed(2, SIX_HOURS);
        // Then
        assertThat(atFirst).isFalse();
        assertThat(failure).isEqualTo(new FailedCall(DUE, UNAVAILABLE.code(), UNAVAILABLE.message()));
        assertThat(next).isAfter(DUE);
        assertThat(only().lastFailure()).isEmpty();
    }

    @Test
    void showsAllEntriesAPartAtATimeInTheOrderInWhichTheyCame() {
        // Given
        fixture.eksAuth.issueAtOnce(SIX_HOURS);
        List<ServiceAccountToken> tokens = IntStream.range(0, 25)
                .mapToObj(i -> TokenBuilder.of("token-" + i)
                        .claiming(new ServiceAccountToken.WorkloadClaims("namespace", "account", "pod-" + i, "uid-" + i, ""))
                        .build())
                .toList();
        fixture.service.request(TokenBuilder.unverified(tokens.get(0)), "10.0.0.1", ServiceFixture.DEADLINE, Duration.ZERO,
                outcome -> {});
        tokens.subList(1, 25).forEach(fixture::ask);
        fixture.ask(tokens.get(0));
        // When
        List<String> names = new ArrayList<>();
        long last = 0;
        for (List<CachedIdentity.Numbered> part = fixture.service.look(last, 10);
                !part.isEmpty();
                part = fixture.service.look(last, 10)) {
            assertThat(part).hasSizeLessThanOrEqualTo(10);
            part.forEach(numbered -> names.add(numbered.identity().podName().orElseThrow()));
            last = part.get(part.size() - 1).number();
        }
        // Then
        assertThat(names).containsExactlyElementsOf(IntStream.range(0, 25).mapToObj(i -> "pod-" + i).toList());
    }

    @Test
    void aLookIsNoUse() {
        // Given
        fixture = new ServiceFixture(ServiceFixture.cacheSize(2));
        fixture.eksAuth.issueAtOnce(SIX_HOURS);
        ServiceAccountToken b = token("b");
        fixture.ask(a);
        fixture.ask(b);
        fixture.ask(a);
        // When
        fixture.service.look(0, 10);
        fixture.ask(token("c"));
        fixture.ask(a);
        // Then: listing an entry does not count as using it, so the least recently requested entry was evicted
        assertThat(fixture.callsFor(a)).isEqualTo(1);
    }

    private CachedIdentity only() {
        List<CachedIdentity.Numbered> all = fixture.service.look(0, 2);
        assertThat(all).hasSize(1);
        return all.get(0).identity();
    }
}
