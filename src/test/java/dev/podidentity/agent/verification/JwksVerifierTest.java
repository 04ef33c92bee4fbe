package dev.podidentity.agent.verification;

import static dev.podidentity.agent.verification.SigningKeys.header;
import static dev.podidentity.agent.verification.SigningKeys.jwk;
import static dev.podidentity.agent.verification.SigningKeys.jwks;
import static dev.podidentity.agent.verification.SigningKeys.sign;
import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.observe.BuildInfo;
import dev.podidentity.agent.observe.Metrics;
import dev.podidentity.agent.outbound.CallFailure;
import dev.podidentity.agent.testing.FakeLoop;
import dev.podidentity.agent.testing.FakeTime;
import dev.podidentity.agent.testing.TestLoop;
import dev.podidentity.agent.testing.Tokens;
import dev.podidentity.agent.token.NotVerified;
import dev.podidentity.agent.token.NotVerified.Reason;
import dev.podidentity.agent.token.RejectedToken;
import dev.podidentity.agent.token.ServiceAccountToken;
import dev.podidentity.agent.token.TokenReader;
import dev.podidentity.agent.token.Verification;
import dev.podidentity.agent.token.VerifiedClaims;
import dev.podidentity.agent.verification.KeySource.PublishedKeys;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.vertx.core.json.JsonObject;
import java.security.KeyPair;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.BiFunction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class JwksVerifierTest {

    private static final String SOURCE = "10.0.0.1";

    private static final String ISSUER = Tokens.claims(FakeTime.START, "p").getString("iss");
    private static final PublishedKeys KEY_A = published(jwk("a", SigningKeys.P256));
    private static final PublishedKeys KEYS_A_AND_B =
            published(jwk("a", SigningKeys.P256), jwk("b", SigningKeys.OTHER_P256));
    private static final PublishedKeys KEY_B = published(jwk("b", SigningKeys.OTHER_P256));
    private static final CallFailure DOWN = new CallFailure("The API server does not answer", false);
    private static final NotVerified NO_KEYS = new NotVerified(Reason.NO_KEYS);
    private static final NotVerified UNKNOWN_KEY = new NotVerified(Reason.UNKNOWN_KEY);
    private static final NotVerified LIMIT = new NotVerified(Reason.LIMIT);

    private final FakeTime time = new FakeTime();
    private final FakeLoop loop = new FakeLoop();
    private final FakeKeySource source = new FakeKeySource();
    private final ManualExecutor worker = new ManualExecutor();
    private final Metrics metrics = new Metrics(new SimpleMeterRegistry(), new BuildInfo("test"), time.clock());
    private final KeyRing ring = new KeyRing(source, Optional.empty(), Optional.empty(), metrics, time.clock(), time.nanos(),
            new TestLoop(time, loop), worker, () -> 0);
    private JwksVerifier verifier = verifier(2000);

    @Test
    void verifiesATokenOnceAndRemembersIt() {
        // Given
        start(KEY_A);
        ServiceAccountToken token = tokenOf("a", SigningKeys.P256, "pod-1");
        int before = worker.ran();

        // When
        Verification first = verify(token).verdict();
        Verification second = verify(token).verdict();

        // Then
        assertThat(first).isInstanceOfSatisfying(VerifiedClaims.class, claims -> {
            assertThat(claims.issuer()).isEqualTo(ISSUER);
            assertThat(claims.pod()).isEqualTo("pod-1");
        });
        assertThat(second).isEqualTo(first);
        assertThat(worker.ran() - before).isEqualTo(1);
    }

    @Test
    void verifiesATokenOnceForAllWhoAskAtATime() {
        // Given
        start(KEY_A);
        worker.hold();
        ServiceAccountToken token = tokenOf("a", SigningKeys.P256, "pod-1");

        // When
        List<RecordingVerdict> all = new ArrayList<>();
        for (int i = 0; i < 100; i++) {
            all.add(verify(token));
        }

        // Then
        assertThat(worker.waiting()).isEqualTo(1);
        assertThat(all).allMatch(RecordingVerdict::waits);
        worker.release();
        assertThat(all).allSatisfy(one -> assertThat(one.verdict()).isInstanceOf(VerifiedClaims.class));
        assertThat(time.pending()).as("timers beside that of the next fetch").isEqualTo(1);
    }

    @Test
    void verifiesAForgedTokenOnce() {
        // Given
        start(KEY_A);
        ServiceAccountToken forged = tokenOf("a", SigningKeys.OTHER_P256, "pod-1");
        int before = worker.ran();

        // When
        for (int i = 0; i < 100; i++) {
            assertThat(verify(forged).verdict()).isInstanceOf(RejectedToken.class);
        }

        // Then
        assertThat(worker.ran() - before).isEqualTo(1);
    }

    @Test
    void keepsForgedTokensFromCrowdingOutGenuineOnes() {
        // Given
        verifier = verifier(2);
        start(KEY_A);
        ServiceAccountToken genuine = tokenOf("a", SigningKeys.P256, "pod-1");
        verify(genuine);

        // When
        for (int i = 0; i < 300; i++) {
            verify(tokenOf("a", SigningKeys.OTHER_P256, "forged-" + i));
        }

        // Then
        int before = worker.ran();
        assertThat(verify(genuine).verdict()).isInstanceOf(VerifiedClaims.class);
        assertThat(worker.ran()).isEqualTo(before);
    }

    @Test
    void forgetsTheTokenThatWasUsedLeastRecently() {
        // Given
        verifier = verifier(2);
        start(KEY_A);
        ServiceAccountToken first = tokenOf("a", SigningKeys.P256, "pod-1");
        ServiceAccountToken second = tokenOf("a", SigningKeys.P256, "pod-2");
        verify(first);
        verify(second);
        verify(first);

        // When
        verify(tokenOf("a", SigningKeys.P256, "pod-3"));

        // Then
        int before = worker.ran();
        verify(first);
        assertThat(worker.ran() - before).isZero();
        verify(second);
        assertThat(worker.ran() - before).isEqualTo(1);
    }

    @Test
    void noLongerBelievesATokenThatHasExpired() {
        // Given
        start(KEY_A);
        ServiceAccountToken token = tokenOf("a", SigningKeys.P256, "pod-1");
        assertThat(verify(token).verdict()).isInstanceOf(VerifiedClaims.class);
        source.answerAtOnce(KEY_A);

        // When
        time.advance(Duration.ofHours(24));

        // Then
        assertThat(verify(token).verdict()).isInstanceOfSatisfying(
                RejectedToken.class, rejected -> assertThat(rejected.kind()).isEqualTo(RejectedToken.Kind.EXPIRED));
    }

    @Test
    void noLongerBelievesWhatARemovedKeyHasSigned() {
        // Given
        start(KEYS_A_AND_B);
        ServiceAccountToken ofA = tokenOf("a", SigningKeys.P256, "pod-1");
        ServiceAccountToken ofB = tokenOf("b", SigningKeys.OTHER_P256, "pod-2");
        assertThat(verify(ofA).verdict()).isInstanceOf(VerifiedClaims.class);
        assertThat(verify(ofB).verdict()).isInstanceOf(VerifiedClaims.class);

        // When
        source.answerAtOnce(KEY_B);
        time.advance(Duration.ofMinutes(5));

        // Then
        assertThat(verify(ofA).verdict()).isEqualTo(UNKNOWN_KEY);
        assertThat(verify(ofB).verdict()).isInstanceOf(VerifiedClaims.class);
    }

    @Test
    void judgesAgainWhatWasVerifiedWhileTheKeysChanged() {
        // Given
        start(KEYS_A_AND_B);
        ServiceAccountToken ofA = tokenOf("a", SigningKeys.P256, "pod-1");
        worker.hold();
        RecordingVerdict verdict = verify(ofA);

        // When: another worker thread reads new keys before the token's turn ends
        loop.execute(ring::fetchAgain);
        source.answer(KEY_B);
        worker.runLast();
        assertThat(verdict.waits()).isTrue();
        worker.release();

        // Then
        assertThat(verdict.verdict()).isEqualTo(UNKNOWN_KEY);
    }

    @Test
    void judgesARejectedTokenAgainWhenTheKeysChange() {
        // Given
        start(KEY_A);
        ServiceAccountToken token = tokenOf("a", SigningKeys.OTHER_P256, "pod-1");
        assertThat(verify(token).verdict()).isInstanceOf(RejectedToken.class);

        // When
        source.answerAtOnce(published(jwk("a", SigningKeys.OTHER_P256)));
        time.advance(Duration.ofMinutes(5));

        // Then
        assertThat(verify(token).verdict()).isInstanceOf(VerifiedClaims.class);
    }

    @Test
    void fetchesKeysOnceAnIntervalHoweverManyTokensOfUnknownKeysCome() {
        // Given
        start(KEY_A);
        source.answerAtOnce(KEY_A);
        int before = source.fetches();

        // When
        for (int i = 0; i < 1000; i++) {
            assertThat(verify(tokenOf("unknown-" + i, SigningKeys.P256, "pod")).verdict()).isEqualTo(UNKNOWN_KEY);
        }

        // Then
        assertThat(source.fetches() - before).isEqualTo(1);

        // When
        time.advance(Duration.ofSeconds(9));
        verify(tokenOf("unknown", SigningKeys.P256, "pod"));
        // Then
        assertThat(source.fetches() - before).isEqualTo(1);

        // When
        time.advance(Duration.ofSeconds(1));
        for (int i = 0; i < 1000; i++) {
            verify(tokenOf("unknown-" + i, SigningKeys.P256, "pod"));
        }
        // Then
        assertThat(source.fetches() - before).isEqualTo(2);
    }

    @Test
    void verifiesATokenOfANewKeyOnceThatIsFetched() {
        // Given
        start(KEY_A);
        ServiceAccountToken ofB = tokenOf("b", SigningKeys.OTHER_P256, "pod-1");
        RecordingVerdict first = verify(ofB);
        RecordingVerdict second = verify(ofB);
        assertThat(first.waits()).isTrue();

        // When
        time.advanceMillis(40);
        source.answer(KEYS_A_AND_B);

        // Then
        assertThat(first.verdict()).isInstanceOf(VerifiedClaims.class);
        assertThat(second.verdict()).isInstanceOf(VerifiedClaims.class);
    }

    @Test
    void leavesATokenToEksAuthIfItsKeyDoesNotComeInTime() {
        // Given
        start(KEY_A);
        ServiceAccountToken ofB = tokenOf("b", SigningKeys.OTHER_P256, "pod-1");
        RecordingVerdict verdict = verify(ofB);

        // When
        time.advanceMillis(299);
        assertThat(verdict.waits()).isTrue();
        time.advanceMillis(1);

        // Then
        assertThat(verdict.verdict()).isEqualTo(UNKNOWN_KEY);

        // When
        source.answer(KEYS_A_AND_B);

        // Then
        assertThat(verify(ofB).verdict()).isInstanceOf(VerifiedClaims.class);
    }

    @Test
    void leavesATokenToEksAuthAtOnceIfTheFetchBringsNoKeyForIt() {
        // Given
        start(KEY_A);
        RecordingVerdict answered = verify(tokenOf("b", SigningKeys.P256, "pod-1"));

        // When
        source.answer(KEY_A);

        // Then
        assertThat(answered.verdict()).isEqualTo(UNKNOWN_KEY);

        // Given
        time.advance(Duration.ofSeconds(10));
        RecordingVerdict failed = verify(tokenOf("b", SigningKeys.P256, "pod-1"));

        // When
        source.fail(DOWN);

        // Then
        assertThat(failed.verdict()).isEqualTo(UNKNOWN_KEY);
    }

    @Test
    void waitsForTheFirstKeys() {
        // Given
        ring.start();
        RecordingVerdict verdict = verify(tokenOf("a", SigningKeys.P256, "pod-1"));
        assertThat(verdict.waits()).isTrue();

        // When
        source.answer(KEY_A);

        // Then
        assertThat(verdict.verdict()).isInstanceOf(VerifiedClaims.class);
    }

    @Test
    void leavesATokenToEksAuthIfTheFirstKeysDoNotCome() {
        // Given
        ring.start();
        RecordingVerdict late = verify(tokenOf("a", SigningKeys.P256, "pod-1"));

        // When
        time.advanceMillis(300);
        RecordingVerdict failed = verify(tokenOf("a", SigningKeys.P256, "pod-2"));
        source.fail(DOWN);

        // Then
        assertThat(late.verdict()).isEqualTo(NO_KEYS);
        assertThat(failed.verdict()).isEqualTo(NO_KEYS);
        // Nothing is in progress now.
        assertThat(verify(tokenOf("a", SigningKeys.P256, "pod-3")).verdict()).isEqualTo(NO_KEYS);
    }

    @Test
    void leavesTokensToEksAuthOnceTheLastGoodKeysAreTooOld() {
        // Given
        start(KEY_A);
        source.failAtOnce(DOWN);
        time.advance(Duration.ofHours(24).minusSeconds(1));
        ServiceAccountToken token = tokenOf("a", SigningKeys.P256, "pod-1");
        assertThat(verify(token).verdict()).isInstanceOf(VerifiedClaims.class);

        // When
        time.advance(Duration.ofSeconds(1));

        // Then
        assertThat(verify(token).verdict()).isEqualTo(NO_KEYS);
    }

    @Test
    void verifiesABurstOfAllPodsOfANodeThoughFewAtATime() {
        // Given
        start(KEY_A);
        worker.hold();
        List<RecordingVerdict> waiting = new ArrayList<>();
        for (int i = 0; i < 250; i++) {
            waiting.add(verify(tokenOf("a", SigningKeys.P256, "pod-" + i)));
        }

        // When
        worker.release();

        // Then
        assertThat(waiting).allSatisfy(one -> assertThat(one.verdict()).isInstanceOf(VerifiedClaims.class));
    }

    @Test
    void comesToAnotherPodsTokenThoughOneHasSentHundreds() {
        // Given
        start(KEY_A);
        worker.hold();
        List<RecordingVerdict> flood = new ArrayList<>();
        for (int i = 0; i < 256; i++) {
            flood.add(verify(tokenOf("a", SigningKeys.P256, "pod-" + i)));
        }

        // When
        RecordingVerdict beyond = verify(tokenOf("a", SigningKeys.P256, "one more"));
        RecordingVerdict ofAnother = verify(tokenOf("a", SigningKeys.P256, "other"), "10.0.0.2");
        worker.run(6);

        // Then
        assertThat(beyond.verdict()).isEqualTo(LIMIT);
        assertThat(ofAnother.verdict()).isInstanceOf(VerifiedClaims.class);
        assertThat(flood).last().matches(RecordingVerdict::waits);
        worker.release();
        assertThat(verify(tokenOf("a", SigningKeys.P256, "later")).verdict()).isInstanceOf(VerifiedClaims.class);
    }

    @Test
    void leavesATokenToEksAuthIfTheWorkerTakesTooLongAndRemembersItsVerdict() {
        // Given
        start(KEY_A);
        worker.hold();
        ServiceAccountToken token = tokenOf("a", SigningKeys.P256, "pod-1");
        RecordingVerdict verdict = verify(token);

        // When
        time.advanceMillis(300);

        // Then
        assertThat(verdict.verdict()).isEqualTo(LIMIT);

        // When
        worker.release();
        int before = worker.ran();

        // Then
        assertThat(verify(token).verdict()).isInstanceOf(VerifiedClaims.class);
        assertThat(worker.ran()).isEqualTo(before);
    }

    @Test
    void boundsHowManyTokensOfASourceWaitForKeys() {
        // Given
        ring.start();
        List<RecordingVerdict> waiting = new ArrayList<>();
        for (int i = 0; i < 256; i++) {
            waiting.add(verify(tokenOf("unknown-" + i, SigningKeys.P256, "pod")));
        }
        assertThat(waiting).allMatch(RecordingVerdict::waits);

        // When
        RecordingVerdict beyond = verify(tokenOf("a", SigningKeys.P256, "one more"));
        RecordingVerdict ofAnother = verify(tokenOf("a", SigningKeys.P256, "other"), "10.0.0.2");

        // Then
        assertThat(beyond.verdict()).isEqualTo(LIMIT);
        assertThat(ofAnother.waits()).isTrue();
        time.advanceMillis(300);
        assertThat(waiting).allSatisfy(one -> assertThat(one.verdict()).isEqualTo(NO_KEYS));
        assertThat(verify(tokenOf("a", SigningKeys.P256, "later")).waits()).isTrue();
    }

    @Test
    void leavesATokenToEksAuthIfVerifyingItGoesWrong() {
        // Given
        start(KEY_A);
        ServiceAccountToken token = tokenOf("a", SigningKeys.P256, "pod-1");
        BiFunction<String, VerificationKeys, Judgement> broken = (raw, keys) -> {
            throw new IllegalStateException("goes wrong");
        };
        verifier = new JwksVerifier(ring, broken, 10, time.clock(), new TestLoop(time, loop), worker);

        // When
        Verification verdict = verify(token).verdict();

        // Then
        assertThat(verdict).isEqualTo(new NotVerified(Reason.ERROR));
        verifier = verifier(10);
        assertThat(verify(token).verdict()).isInstanceOf(VerifiedClaims.class);
    }

    @Test
    void takesOverTheKeysOfANewIssuer() {
        // Given
        start(KEY_A);
        ServiceAccountToken token = tokenOf("a", SigningKeys.P256, "pod-1");
        assertThat(verify(token).verdict()).isInstanceOf(VerifiedClaims.class);

        // When
        source.answerAtOnce(new PublishedKeys("https://new", KEY_A.jwks()));
        time.advance(Duration.ofMinutes(5));

        // Then
        assertThat(verify(token).verdict()).isEqualTo(new NotVerified(Reason.OTHER_ISSUER));
        JsonObject claims = Tokens.claims(time.now(), "pod-1").put("iss", "https://new");
        assertThat(verify(read(sign(header("ES256", "a"), claims, SigningKeys.P256.getPrivate()))).verdict())
                .isInstanceOf(VerifiedClaims.class);
    }

    @Test
    void leavesATokenOfTheClustersOtherIssuerToEksAuthAndVerifiesItOnce() {
        // Given
        start(KEY_A);
        JsonObject claims = Tokens.claims(time.now(), "pod-1").put("iss", "https://second");
        ServiceAccountToken token = read(sign(header("ES256", "a"), claims, SigningKeys.P256.getPrivate()));
        int before = worker.ran();

        // When, Then
        for (int i = 0; i < 10; i++) {
            assertThat(verify(token).verdict()).isEqualTo(new NotVerified(Reason.OTHER_ISSUER));
        }
        assertThat(worker.ran() - before).isEqualTo(1);
        assertThat(source.fetches()).as("fetches: other keys would say nothing else").isEqualTo(1);

        // When
        for (int i = 0; i < 300; i++) {
            verify(tokenOf("a", SigningKeys.OTHER_P256, "forged-" + i));
        }

        // Then
        int after = worker.ran();
        assertThat(verify(token).verdict()).isEqualTo(new NotVerified(Reason.OTHER_ISSUER));
        assertThat(worker.ran()).isEqualTo(after);
    }

    @ParameterizedTest
    @ValueSource(ints = {2 * 3600, -2 * 3600, 48 * 3600, -48 * 3600})
    void forgetsWhatAWrongClockSaidOfATokenWhenTheClockIsRight(int error) {
        // Given
        start(KEY_A);
        ServiceAccountToken token = tokenOf("a", SigningKeys.P256, "pod-1");
        time.setClockAhead(Duration.ofSeconds(error));
        Verification wrong = verify(token).verdict();
        assertThat(wrong instanceof VerifiedClaims).isEqualTo(error == 2 * 3600);

        // When
        time.setClockAhead(Duration.ZERO);

        // Then: immediately, and without checking its signature again
        int before = worker.ran();
        assertThat(verify(token).verdict()).isInstanceOf(VerifiedClaims.class);
        assertThat(worker.ran()).isEqualTo(before);

        // When
        time.setClockAhead(Duration.ofSeconds(error));

        // Then
        assertThat(verify(token).verdict()).isEqualTo(wrong);
    }

    @Test
    void keepsTheKeysAndTheForgedTokensThoughTheClockJumps() {
        // Given
        start(KEY_A);
        ServiceAccountToken forged = tokenOf("a", SigningKeys.OTHER_P256, "pod-1");
        assertThat(verify(forged).verdict()).isInstanceOf(RejectedToken.class);
        int before = worker.ran();

        // When, Then
        for (int hours : new int[] {48, -48, 0}) {
            time.setClockAhead(Duration.ofHours(hours));
            assertThat(verify(forged).verdict()).isInstanceOf(RejectedToken.class);
        }
        assertThat(worker.ran()).isEqualTo(before);
    }

    @Test
    void givesTheRoomBackOfATokenThatNobodyWaitsForAnyMore() {
        // Given: a source has used up its share, behind four tokens that the worker does not reach
        start(KEY_A);
        worker.hold();
        for (int i = 0; i < 256; i++) {
            verify(tokenOf("a", SigningKeys.P256, "pod-" + i));
        }
        assertThat(verify(tokenOf("a", SigningKeys.P256, "one more")).verdict()).isEqualTo(LIMIT);

        // When
        time.advanceMillis(300);

        // Then
        assertThat(verify(tokenOf("a", SigningKeys.P256, "later")).waits()).isTrue();
        worker.release();
        assertThat(worker.waiting()).isZero();
    }

    private void start(PublishedKeys keys) {
        ring.start();
        source.answer(keys);
    }

    private JwksVerifier verifier(int memory) {
        return new JwksVerifier(ring, Tokens.AUDIENCE, memory, time.clock(), new TestLoop(time, loop), worker);
    }

    private RecordingVerdict verify(ServiceAccountToken token) {
        return verify(token, SOURCE);
    }

    private RecordingVerdict verify(ServiceAccountToken token, String source) {
        RecordingVerdict verdict = new RecordingVerdict();
        loop.execute(() -> verifier.verify(token, source, verdict));
        return verdict;
    }

    private ServiceAccountToken tokenOf(String keyId, KeyPair pair, String pod) {
        return read(sign(header("ES256", keyId), Tokens.claims(time.now(), pod), pair.getPrivate()));
    }

    private ServiceAccountToken read(String raw) {
        return (ServiceAccountToken) new TokenReader(Tokens.AUDIENCE, time.clock()).read(List.of(raw));
    }

    private static PublishedKeys published(JsonObject... keys) {
        return new PublishedKeys(ISSUER, jwks(keys));
    }
}
