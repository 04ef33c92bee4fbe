package dev.podidentity.agent.credentials;

import static dev.podidentity.agent.credentials.TokenBuilder.token;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatNullPointerException;

import dev.podidentity.agent.observe.CacheOutcome;
import dev.podidentity.agent.token.ServiceAccountToken;
import dev.podidentity.agent.token.ServiceAccountToken.WorkloadClaims;
import java.time.Duration;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

@ExtendWith(QuietLog.class)
class IdentityTest {

    private static final String SECRET = "eyJhbGciOiJSUzI1NiJ9.c2VjcmV0.c2lnbmF0dXJl";

    @Test
    void isTheSameForTheSameToken() {
        // Given
        ServiceAccountToken token = token(SECRET);
        // When
        Identity identity = Identity.of(token);
        // Then
        assertThat(identity).isEqualTo(Identity.of(token(SECRET))).hasSameHashCodeAs(Identity.of(token(SECRET)));
    }

    @Test
    void differsForTokensOfTheSameClaims() {
        // Given
        WorkloadClaims claims = new WorkloadClaims("payments", "ledger", "ledger-0", "pod-uid", "");
        // When
        Identity one = Identity.of(TokenBuilder.of("one").claiming(claims).build());
        Identity other = Identity.of(TokenBuilder.of("other").claiming(claims).build());
        // Then
        assertThat(one).isNotEqualTo(other);
    }

    @Test
    void doesNotDependOnWhatATokenClaims() {
        // Given
        WorkloadClaims claims = new WorkloadClaims("payments", "ledger", "ledger-0", "pod-uid", "");
        // When
        Identity one = Identity.of(TokenBuilder.of("one").claiming(claims).build());
        // Then
        assertThat(one).isEqualTo(Identity.of(token("one")));
    }

    @Test
    void ofAnUnverifiedTokenNeverEqualsAVerifiedWorkload() {
        // Given
        Identity exact = Identity.of(TokenBuilder.of("one")
                .claiming(new WorkloadClaims("payments", "ledger", "ledger-0", "pod-uid", ""))
                .build());
        // When
        Identity verified =
                new Identity.VerifiedWorkload("issuer", "payments", "ledger", "uid", Optional.of("pod-uid"));
        // Then
        assertThat(exact).isNotEqualTo(verified);
        assertThat(verified).isNotEqualTo(exact);
    }

    @Test
    void ofAWorkloadTellsApartEveryPartOfIt() {
        // Given
        Identity workload = workload("i", "n", "s", "u", Optional.of("p"));
        // When
        Identity same = workload("i", "n", "s", "u", Optional.of("p"));
        // Then
        assertThat(workload).isEqualTo(same);
        assertThat(workload).isNotIn(
                workload("I", "n", "s", "u", Optional.of("p")),
                workload("i", "N", "s", "u", Optional.of("p")),
                workload("i", "n", "S", "u", Optional.of("p")),
                workload("i", "n", "s", "U", Optional.of("p")),
                workload("i", "n", "s", "u", Optional.of("P")),
                workload("i", "n", "s", "u", Optional.empty()),
                workload("i", "s", "n", "u", Optional.of("p")));
    }

    @Test
    void hasNoMissingParts() {
        assertThatNullPointerException().isThrownBy(() -> new Identity.ExactToken(null));
        assertThatNullPointerException().isThrownBy(() -> workload(null, "n", "s", "u", Optional.empty()));
        assertThatNullPointerException().isThrownBy(() -> workload("i", null, "s", "u", Optional.empty()));
        assertThatNullPointerException().isThrownBy(() -> workload("i", "n", null, "u", Optional.empty()));
        assertThatNullPointerException().isThrownBy(() -> workload("i", "n", "s", null, Optional.empty()));
        assertThatNullPointerException().isThrownBy(() -> workload("i", "n", "s", "u", null));
    }

    @Test
    void showsNothingOfTheToken() {
        // Given
        ServiceAccountToken token = token(SECRET);
        // When
        String shown = Identity.of(token).toString();
        // Then
        assertShowsNoPartOf(shown, SECRET);
    }

    @Test
    void showsNoSecretInTheValuesThatGoWithIt() {
        // Given
        ServiceFixture fixture = new ServiceFixture();
        Credentials credentials = fixture.cached(token(SECRET), Duration.ofHours(6));
        CacheEntry entry = fixture.service.entries().iterator().next();
        // When
        String shown = entry + " " + credentials + " " + new Outcome.Served(credentials, CacheOutcome.HIT);
        // Then
        assertShowsNoPartOf(shown, SECRET);
        assertThat(shown).doesNotContain("ASIA", "secret-of");
    }

    private static void assertShowsNoPartOf(String shown, String token) {
        assertThat(shown).doesNotContain(token).doesNotContain(token.split("\\."));
    }

    private static Identity workload(
            String issuer, String namespace, String account, String uid, Optional<String> pod) {
        return new Identity.VerifiedWorkload(issuer, namespace, account, uid, pod);
    }
}
