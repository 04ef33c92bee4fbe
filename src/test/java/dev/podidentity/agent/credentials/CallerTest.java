package dev.podidentity.agent.credentials;

import static dev.podidentity.agent.config.CoalesceScope.POD;
import static dev.podidentity.agent.config.CoalesceScope.ROLE;
import static dev.podidentity.agent.config.CoalesceScope.TOKEN;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import dev.podidentity.agent.config.CoalesceScope;
import dev.podidentity.agent.credentials.Identity.VerifiedWorkload;
import dev.podidentity.agent.eksauth.IssuedCredentials;
import dev.podidentity.agent.testing.FakeTime;
import dev.podidentity.agent.token.NotVerified;
import dev.podidentity.agent.token.RejectedToken;
import dev.podidentity.agent.token.ServiceAccountToken;
import dev.podidentity.agent.token.ServiceAccountToken.WorkloadClaims;
import dev.podidentity.agent.token.Verification;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class CallerTest {

    private static final Pod POD_A = Pod.of("a");
    private static final Verification OFF = new NotVerified(NotVerified.Reason.OFF);
    private static final VerifiedWorkload ROLE_OF_A =
            new VerifiedWorkload(Pod.ISSUER, "shop", "cart", "cart-uid", Optional.empty());

    private final ServiceAccountToken token = POD_A.token(1, FakeTime.START.plusSeconds(60));

    @Test
    void isTheServiceAccountInTheScopeOfARole() {
        assertThat(POD_A.verified(ROLE).identity()).isEqualTo(ROLE_OF_A);
    }

    @Test
    void isThePodInTheScopeOfAPod() {
        assertThat(POD_A.verified(POD).identity())
                .isEqualTo(new VerifiedWorkload(Pod.ISSUER, "shop", "cart", "cart-uid", Optional.of("a-uid")));
    }

    @Test
    void isTheTokenInTheScopeOfATokenThoughItWasVerified() {
        Caller caller = POD_A.verified(TOKEN);

        assertThat(caller.identity()).isEqualTo(Identity.of(caller.token()));
        assertThat(caller.verified()).contains(POD_A.claims());
    }

    @ParameterizedTest
    @EnumSource
    void isTheTokenInEveryScopeWhenItWasNotVerified(CoalesceScope scope) {
        Caller caller = POD_A.unverified(scope);

        assertThat(caller.identity()).isEqualTo(Identity.of(caller.token()));
        assertThat(caller.verified()).isEmpty();
    }

    @ParameterizedTest
    @EnumSource
    void isNobodyWithARejectedToken(CoalesceScope scope) {
        RejectedToken rejected = new RejectedToken(RejectedToken.Kind.FORBIDDEN, "of another node");

        assertThatIllegalArgumentException().isThrownBy(() -> Caller.of(token, rejected, scope));
        assertThatIllegalArgumentException().isThrownBy(() -> new Caller(token, rejected, Identity.of(token)));
    }

    @Test
    void isNobodyThatItsTokenDoesNotShow() {
        ServiceAccountToken other = POD_A.token(2, FakeTime.START.plusSeconds(60));

        assertThatIllegalArgumentException().isThrownBy(() -> new Caller(token, OFF, ROLE_OF_A));
        assertThatIllegalArgumentException().isThrownBy(() -> new Caller(token, OFF, Identity.of(other)));
        assertThatIllegalArgumentException().isThrownBy(() -> new Caller(token, POD_A.claims(), Identity.of(other)));
    }

    @ParameterizedTest
    @CsvSource({
        "https://other, shop, cart, cart-uid, a-uid",
        "https://issuer.example, other, cart, cart-uid, a-uid",
        "https://issuer.example, shop, other, cart-uid, a-uid",
        "https://issuer.example, shop, cart, other, a-uid",
        "https://issuer.example, shop, cart, cart-uid, other"
    })
    void isNoWorkloadThatDiffersInAnyPart(String issuer, String namespace, String account, String uid, String pod) {
        Identity other = new VerifiedWorkload(issuer, namespace, account, uid, Optional.of(pod));

        assertThatIllegalArgumentException().isThrownBy(() -> new Caller(token, POD_A.claims(), other));
    }

    @ParameterizedTest
    @CsvSource({"shop, cart, true", "shop, other, false", "other, cart, false", "cart, shop, false"})
    void isNamedByAnAnswerForItsServiceAccount(String namespace, String serviceAccount, boolean named) {
        IssuedCredentials answer = answer(namespace, serviceAccount);

        assertThat(POD_A.verified(ROLE).namedBy(answer)).isEqualTo(named);
        assertThat(POD_A.verified(TOKEN).namedBy(answer)).isEqualTo(named);
        assertThat(POD_A.unverified(ROLE).namedBy(answer)).isEqualTo(named);
        assertThat(Caller.of(POD_A.verified(TOKEN).token(), OFF, TOKEN).namedBy(answer)).isEqualTo(named);
    }

    @Test
    void isNamedByAnyAnswerWhereVerificationIsOffAndTheTokenNamesNobody() {
        ServiceAccountToken nameless = TokenBuilder.of("nameless").claiming(new WorkloadClaims("", "", "", "", "")).build();

        assertThat(Caller.of(nameless, OFF, TOKEN).namedBy(answer("other", "other"))).isTrue();
    }

    @Test
    void showsNothingOfTheToken() {
        assertThat(POD_A.verified(ROLE).toString()).doesNotContain(POD_A.verified(ROLE).token().raw());
    }

    private static IssuedCredentials answer(String namespace, String serviceAccount) {
        return new IssuedCredentials("ASIA", "s3cret", "session", "123456789012", FakeTime.START, namespace,
                serviceAccount, "arn:aws:sts::123456789012:assumed-role/role/session", "a-1");
    }
}
