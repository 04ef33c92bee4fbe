package dev.podidentity.agent.verification;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import dev.podidentity.agent.observe.BuildInfo;
import dev.podidentity.agent.observe.Metrics;
import dev.podidentity.agent.testing.FakeTime;
import dev.podidentity.agent.testing.Tokens;
import dev.podidentity.agent.token.NotVerified;
import dev.podidentity.agent.token.NotVerified.Reason;
import dev.podidentity.agent.token.RejectedToken;
import dev.podidentity.agent.token.ServiceAccountToken;
import dev.podidentity.agent.token.ServiceAccountToken.WorkloadClaims;
import dev.podidentity.agent.token.Verification;
import dev.podidentity.agent.token.VerifiedClaims;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class TokenVerificationTest {

    private static final String SOURCE = "10.0.0.1";

    private static final ServiceAccountToken TOKEN = Tokens.read(FakeTime.START, "pod-1");
    private static final LivingPods ALL_GONE = (podUid, issuedAt) -> true;

    private final FakeTime time = new FakeTime();
    private final SimpleMeterRegistry registry = new SimpleMeterRegistry();
    private final Metrics metrics = new Metrics(registry, new BuildInfo("test"), time.clock());

    @Test
    void takesPartInNothingWhileItIsOff() {
        assertThat(verify(Optional.empty(), Optional.of("node-1"), LivingPods.UNWATCHED))
                .isEqualTo(new NotVerified(Reason.OFF));
        assertThat(counted()).isEmpty();
    }

    @Test
    void passesOnWhatIsProvedOfAPodOfThisNode() {
        assertThat(verify(claims(Optional.of("node-1")), Optional.of("node-1"))).isEqualTo(claims(Optional.of("node-1")));
        assertThat(counted()).containsExactly("verified");
    }

    @Test
    void forbidsATokenOfAnotherNode() {
        assertThat(verify(claims(Optional.of("node-2")), Optional.of("node-1"))).isInstanceOfSatisfying(
                RejectedToken.class, rejected -> {
                    assertThat(rejected.kind()).isEqualTo(RejectedToken.Kind.FORBIDDEN);
                    assertThat(rejected.message()).contains("on another node").doesNotContain("node-2");
                });
        assertThat(counted()).containsExactly("other_node");
    }

    @Test
    void doesNotLookAtANodeThatTheTokenOrTheAgentDoesNotKnow() {
        assertThat(verify(claims(Optional.empty()), Optional.of("node-1"))).isInstanceOf(VerifiedClaims.class);
        assertThat(verify(claims(Optional.of("node-2")), Optional.empty())).isInstanceOf(VerifiedClaims.class);
    }

    @Test
    void forbidsATokenOfAPodThatIsGoneWithoutVerifyingIt() {
        // Given
        List<ServiceAccountToken> verified = new ArrayList<>();
        TokenVerifier verifier = (token, source, verdict) -> verified.add(token);

        // When, Then
        for (Optional<TokenVerifier> mode : List.of(Optional.of(verifier), Optional.<TokenVerifier>empty())) {
            assertThat(verify(mode, Optional.empty(), ALL_GONE)).isInstanceOfSatisfying(
                    RejectedToken.class, rejected -> {
                        assertThat(rejected.kind()).isEqualTo(RejectedToken.Kind.FORBIDDEN);
                        assertThat(rejected.message()).contains("no longer exists");
                    });
        }
        assertThat(verified).isEmpty();
        assertThat(counted()).containsExactly("pod_gone");
    }

    @ParameterizedTest
    @EnumSource
    void forbidsATokenThatNamesAnotherNodeThoughNobodyCanVerifyIt(Reason reason) {
        // Given
        ServiceAccountToken stolen = new ServiceAccountToken(TOKEN.raw(), TOKEN.fingerprint(), TOKEN.validity(),
                new WorkloadClaims("shop", "cart", "cart-0", "uid", "node-2"));
        TokenVerifier verifier = (token, source, verdict) -> verdict.accept(new NotVerified(reason));
        RecordingVerdict verdict = new RecordingVerdict();

        // When
        new TokenVerification(
                        Optional.of(verifier), Optional.of("node-1"), LivingPods.UNWATCHED, metrics, time.nanos())
                .verify(stolen, SOURCE, verdict);

        // Then
        assertThat(verdict.verdict()).isInstanceOfSatisfying(RejectedToken.class, rejected ->
                assertThat(rejected.kind()).isEqualTo(RejectedToken.Kind.FORBIDDEN));
        assertThat(counted()).containsExactly("other_node");
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void forbidsATokenWhosePodHasGoneWhileItWasVerified(boolean verified) {
        // Given
        Set<String> gone = new HashSet<>();
        List<Consumer<Verification>> verifying = new ArrayList<>();
        RecordingVerdict verdict = new RecordingVerdict();
        new TokenVerification(
                        Optional.of((token, source, answer) -> verifying.add(answer)), Optional.empty(),
                        (podUid, issuedAt) -> gone.contains(podUid), metrics, time.nanos())
                .verify(TOKEN, SOURCE, verdict);
        VerifiedClaims claims = claims(Optional.empty());

        // When
        gone.add(claims.podUid());
        gone.add(TOKEN.claims().podUid());
        verifying.get(0).accept(verified ? claims : new NotVerified(Reason.NO_KEYS));

        // Then
        assertThat(verdict.verdict()).isInstanceOfSatisfying(RejectedToken.class, rejected ->
                assertThat(rejected.kind()).isEqualTo(RejectedToken.Kind.FORBIDDEN));
        assertThat(counted()).containsExactly("pod_gone");
    }

    @Test
    void asksForTheTokensOwnPod() {
        // Given
        List<String> asked = new ArrayList<>();
        LivingPods pods = (podUid, issuedAt) -> {
            asked.add(podUid + " " + issuedAt.orElseThrow());
            return false;
        };

        // When
        verify(Optional.empty(), Optional.empty(), pods);

        // Then
        assertThat(asked).containsExactly("pod-uid " + FakeTime.START);
    }

    @Test
    void doesNotTakeATokenWithoutPodForOneWhosePodIsGone() {
        // Given
        ServiceAccountToken token = new ServiceAccountToken(TOKEN.raw(), TOKEN.fingerprint(), TOKEN.validity(),
                new WorkloadClaims("shop", "cart", "", "", ""));
        RecordingVerdict verdict = new RecordingVerdict();

        // When
        new TokenVerification(Optional.empty(), Optional.empty(), ALL_GONE, metrics, time.nanos()).verify(token, SOURCE, verdict);

        // Then
        assertThat(verdict.verdict()).isEqualTo(new NotVerified(Reason.OFF));
    }

    @ParameterizedTest
    @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "OFF")
    void passesOnAndCountsWhyATokenIsNotVerified(Reason reason) {
        NotVerified not = new NotVerified(reason);

        assertThat(verify(not, Optional.of("node-1"))).isEqualTo(not);
        assertThat(counted()).containsExactly(reason.name().toLowerCase(Locale.ROOT));
    }

    static Stream<Arguments> rejections() {
        return Stream.of(
                arguments(RejectedToken.invalid("forged"), "invalid"),
                arguments(RejectedToken.expired("old"), "expired"));
    }

    @ParameterizedTest
    @MethodSource("rejections")
    void passesOnAndCountsARejection(RejectedToken rejected, String label) {
        assertThat(verify(rejected, Optional.of("node-1"))).isEqualTo(rejected);
        assertThat(counted()).containsExactly(label);
    }

    private Verification verify(Verification given, Optional<String> nodeName) {
        return verify(Optional.of((token, source, verdict) -> verdict.accept(given)), nodeName, LivingPods.UNWATCHED);
    }

    private Verification verify(Optional<TokenVerifier> verifier, Optional<String> nodeName, LivingPods pods) {
        RecordingVerdict verdict = new RecordingVerdict();
        new TokenVerification(verifier, nodeName, pods, metrics, time.nanos()).verify(TOKEN, SOURCE, verdict);
        return verdict.verdict();
    }

    /** Returns the labels of all counted verdicts. */
    private List<String> counted() {
        return registry.find("pod_identity_token_verifications").counters().stream()
                .filter(counter -> counter.count() > 0)
                .map(Counter::getId)
                .map(id -> id.getTag("verdict"))
                .toList();
    }

    private static VerifiedClaims claims(Optional<String> node) {
        return new VerifiedClaims("https://issuer", "shop", "cart", "sa-uid", "pod-1", "pod-uid", node);
    }
}
