package dev.podidentity.agent.verification;

import static dev.podidentity.agent.verification.SigningKeys.jwk;
import static dev.podidentity.agent.verification.SigningKeys.jwks;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.podidentity.agent.observe.BuildInfo;
import dev.podidentity.agent.observe.Metrics;
import dev.podidentity.agent.outbound.CallFailure;
import dev.podidentity.agent.testing.FakeLoop;
import dev.podidentity.agent.testing.FakeTime;
import dev.podidentity.agent.testing.TestLoop;
import dev.podidentity.agent.verification.KeySource.PublishedKeys;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class KeyRingTest {

    private static final PublishedKeys KEYS = new PublishedKeys("https://issuer", jwks(jwk("a", SigningKeys.P256)));
    private static final PublishedKeys OTHER_KEYS = new PublishedKeys("https://issuer", jwks(jwk("b", SigningKeys.P256)));
    private static final CallFailure DOWN = new CallFailure("The API server does not answer", false);
    private static final CallFailure FORBIDDEN = new CallFailure("The agent may not get /openid/v1/jwks", true);

    @TempDir
    Path directory;

    private final FakeTime time = new FakeTime();
    private final FakeLoop loop = new FakeLoop();
    private final ManualExecutor worker = new ManualExecutor();
    private final SimpleMeterRegistry registry = new SimpleMeterRegistry();
    private final Metrics metrics = new Metrics(registry, new BuildInfo("test"), time.clock());
    private FakeKeySource source = new FakeKeySource();
    private KeyRing ring = ring(Optional.empty());

    @Test
    void fetchesAtStartAndEveryFiveMinutes() {
        // Given
        ring.start();
        assertThat(source.fetches()).isEqualTo(1);
        assertThat(ring.underWay()).isTrue();
        assertThat(ring.current()).isEmpty();

        // When
        source.answerAtOnce(OTHER_KEYS);
        source.answer(KEYS);

        // Then
        assertThat(ids()).isEqualTo("[a]");
        assertThat(ring.underWay()).isFalse();

        // When
        time.advance(Duration.ofMinutes(5));

        // Then
        assertThat(source.fetches()).isEqualTo(2);
        assertThat(ids()).isEqualTo("[b]");
        assertThat(counted("success")).isEqualTo(2);
    }

    @Test
    void keepsTheSameObjectWhileTheKeysAreTheSame() {
        // Given
        source.answerAtOnce(KEYS);
        ring.start();
        VerificationKeys first = ring.current().orElseThrow();

        // When
        source.answerAtOnce(new PublishedKeys(KEYS.issuer(), KEYS.jwks() + " "));
        time.advance(Duration.ofMinutes(5));

        // Then
        assertThat(ring.current().orElseThrow()).isSameAs(first);
    }

    @Test
    void makesOneFetchAtATime() {
        // Given
        ring.start();

        // When
        time.advance(Duration.ofMinutes(30));

        // Then
        assertThat(ring.fetchAgain()).isTrue();
        assertThat(source.fetches()).isEqualTo(1);
    }

    @Test
    void triesAgainSoonAfterAFailureAndLaterAfterMore() {
        // Given
        source.failAtOnce(DOWN);

        // When
        ring.start();
        time.advance(Duration.ofSeconds(1 + 2 + 4 + 8 + 16 + 32 + 60 + 60));

        // Then
        assertThat(source.fetches()).isEqualTo(9);
        assertThat(counted("failed")).isEqualTo(9);

        // When
        source.answerAtOnce(KEYS);
        time.advance(Duration.ofSeconds(60));

        // Then
        assertThat(ids()).isEqualTo("[a]");
        time.advance(Duration.ofMinutes(5).minusMillis(1));
        assertThat(source.fetches()).isEqualTo(10);
    }

    @Test
    void triesAgainSeldomWithoutPermission() {
        // Given
        source.failAtOnce(FORBIDDEN);
        ring.start();

        time.advance(Duration.ofSeconds(1 + 2 + 4 + 8 + 16 + 32 + 5 * 60));
        assertThat(source.fetches()).isEqualTo(12);

        // When
        time.advance(Duration.ofMinutes(10).minusMillis(1));

        // Then: tokens with unknown keys do not change this
        assertThat(ring.fetchAgain()).isFalse();
        assertThat(source.fetches()).isEqualTo(12);
        assertThat(counted("forbidden")).isEqualTo(12);

        // When
        source.answerAtOnce(KEYS);
        time.advanceMillis(1);

        // Then
        assertThat(ids()).isEqualTo("[a]");
    }

    @Test
    void doesNotBelieveTheFirstRefusalOfAnApiServerThatHasJustStarted() {
        // Given
        source.failAtOnce(FORBIDDEN);
        ring.start();
        time.advance(Duration.ofSeconds(1 + 2));
        assertThat(source.fetches()).isEqualTo(3);

        // When
        source.answerAtOnce(KEYS);
        time.advance(Duration.ofSeconds(4));

        // Then
        assertThat(ids()).isEqualTo("[a]");

        // When: it starts again
        source.failAtOnce(FORBIDDEN);
        time.advance(Duration.ofMinutes(5));
        source.answerAtOnce(OTHER_KEYS);
        time.advance(Duration.ofSeconds(1));

        // Then
        assertThat(ids()).isEqualTo("[b]");
    }

    @Test
    void countsOnlyRefusalsInARow() {
        // Given
        source.failAtOnce(FORBIDDEN);
        ring.start();
        time.advance(Duration.ofSeconds(1 + 2 + 4 + 8 + 16 + 32 + 4 * 60));
        source.failAtOnce(DOWN);
        time.advance(Duration.ofSeconds(60));

        // When
        source.failAtOnce(FORBIDDEN);
        int before = source.fetches();
        time.advance(Duration.ofSeconds(60 + 1 + 2));

        // Then
        assertThat(source.fetches() - before).isEqualTo(3);
    }

    @ParameterizedTest
    @ValueSource(ints = {-48, -2, 2, 48})
    void keepsKeysForADayHoweverTheClockJumps(int hours) {
        // Given: fetched with a wrong clock, which is then corrected
        time.setClockAhead(Duration.ofHours(hours));
        source.answerAtOnce(KEYS);
        ring.start();
        source.failAtOnce(DOWN);
        time.setClockAhead(Duration.ZERO);

        // When
        time.advance(Duration.ofHours(24).minusMillis(1));

        // Then
        assertThat(ids()).isEqualTo("[a]");

        // When
        time.setClockAhead(Duration.ofHours(-hours));
        time.advanceMillis(1);

        // Then
        assertThat(ring.current()).isEmpty();
    }

    @Test
    void takesTheKeysOfAFileFromTheFutureForNewOnce() {
        // Given: stored with a clock two hours ahead
        time.setClockAhead(Duration.ofHours(2));
        Path path = kept();
        time.setClockAhead(Duration.ZERO);
        time.advance(Duration.ofHours(1));

        // When
        restart(path, Optional.empty());

        // Then
        assertThat(ids()).isEqualTo("[a]");
        assertThat(path).content().contains(time.now().toString());

        // When
        ring.stop();
        time.advance(Duration.ofHours(23));
        restart(path, Optional.empty());

        // Then: their age is counted from the first restart
        assertThat(ids()).isEqualTo("[a]");
        time.advance(Duration.ofHours(1));
        assertThat(ring.current()).isEmpty();
    }

    @Test
    void writesTheFileOnceAnHourHoweverTheClockJumps() throws Exception {
        // Given
        Path path = directory.resolve("keys.json");
        ring = ring(Optional.of(path));
        source.answerAtOnce(KEYS);
        time.setClockAhead(Duration.ofHours(5));
        ring.start();
        time.setClockAhead(Duration.ZERO);
        Files.delete(path);

        // When, Then
        time.advance(Duration.ofMinutes(55));
        assertThat(path).doesNotExist();
        time.advance(Duration.ofMinutes(5));
        assertThat(path).exists();
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "<html>Bad gateway</html>", "{\"keys\":[]}",
        "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"a\",\"k\":\"AA\"}]}"})
    void keepsTheKeysWhenAnAnswerHasNone(String jwks) {
        // Given
        source.answerAtOnce(KEYS);
        ring.start();

        // When
        source.answerAtOnce(new PublishedKeys(KEYS.issuer(), jwks));
        time.advance(Duration.ofMinutes(5));

        // Then
        assertThat(ids()).isEqualTo("[a]");
        assertThat(counted("failed")).isEqualTo(1);
        time.advance(Duration.ofSeconds(1));
        assertThat(source.fetches()).isEqualTo(3);
    }

    @Test
    void keepsTheLastGoodKeysForADay() {
        // Given
        source.answerAtOnce(KEYS);
        ring.start();
        source.failAtOnce(DOWN);

        // When
        time.advance(Duration.ofHours(24).minusMillis(1));

        // Then
        assertThat(ids()).isEqualTo("[a]");
        assertThat(age()).isCloseTo(24 * 3600, within(1.0));

        // When
        time.advanceMillis(1);

        // Then
        assertThat(ring.current()).isEmpty();
        assertThat(age()).isNaN();
    }

    @Test
    void goesOnAfterAFailureThatNobodyThoughtOf() {
        // Given
        source.failAtOnce(new IllegalStateException("not a source failure"));
        ring.start();

        // When
        source.answerAtOnce(KEYS);
        time.advance(Duration.ofSeconds(1));

        // Then
        assertThat(ids()).isEqualTo("[a]");
    }

    @Test
    void fetchesAgainOnceInTenSecondsWhenAsked() {
        // Given
        source.answerAtOnce(KEYS);
        ring.start();

        // When, Then
        assertThat(ring.fetchAgain()).isTrue();
        assertThat(source.fetches()).isEqualTo(2);
        time.advance(Duration.ofMillis(9_999));
        assertThat(ring.fetchAgain()).isFalse();
        time.advanceMillis(1);
        assertThat(ring.fetchAgain()).isTrue();
        assertThat(source.fetches()).isEqualTo(3);
        assertThat(time.pending()).as("timers").isEqualTo(1);
    }

    @Test
    void tellsWhenAFetchHasEndedWell() {
        int[] news = {0};
        ring.listen(() -> news[0]++);
        ring.start();
        assertThat(news[0]).isZero();

        source.answer(KEYS);
        assertThat(news[0]).isEqualTo(1);

        time.advance(Duration.ofMinutes(5));
        source.fail(DOWN);
        assertThat(news[0]).isEqualTo(2);
    }

    @Test
    void stops() {
        // Given
        ring.start();
        source.answer(KEYS);
        time.advance(Duration.ofMinutes(5));

        // When: a fetch is in progress
        ring.stop();
        source.answer(KEYS);

        // Then
        assertThat(time.pending()).isZero();
        assertThat(ring.fetchAgain()).isFalse();
    }

    @Test
    void survivesARestartWhileTheApiServerIsAway() {
        // Given
        Path path = directory.resolve("keys.json");
        ring = ring(Optional.of(path));
        source.answerAtOnce(KEYS);
        ring.start();
        ring.stop();

        // When
        time.advance(Duration.ofHours(23));
        restart(path, Optional.of(KEYS.issuer()));

        // Then
        assertThat(ids()).isEqualTo("[a]");

        // When: their age increases
        time.advance(Duration.ofHours(1));

        // Then
        assertThat(ring.current()).isEmpty();
    }

    @Test
    void doesNotUseAFileOfADayAgo() {
        Path path = kept();
        time.advance(Duration.ofHours(24));

        restart(path, Optional.empty());

        assertThat(ring.current()).isEmpty();
    }

    @Test
    void doesNotUseAFileOfAnotherIssuer() {
        Path path = kept();

        restart(path, Optional.of("https://other"));

        assertThat(ring.current()).isEmpty();
    }

    @Test
    void doesNotUseAFileThatOthersCanWrite() throws Exception {
        Path path = kept();
        Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("rw-rw-rw-"));

        restart(path, Optional.empty());

        assertThat(ring.current()).isEmpty();
        assertThat(ring.underWay()).isFalse();
    }

    @Test
    void prefersKeysThatWereFetchedToThoseOfTheFile() {
        // Given
        Path path = kept();
        source = new FakeKeySource();
        ring = ring(Optional.of(path));
        worker.hold();
        source.answerAtOnce(OTHER_KEYS);

        // When: the fetch ends before the file has been read
        ring.start();
        worker.runLast();
        worker.release();

        // Then
        assertThat(ids()).isEqualTo("[b]");
    }

    @Test
    void isUnderWayWhileTheFileIsRead() {
        // Given
        Path path = kept();
        source = new FakeKeySource();
        source.failAtOnce(DOWN);
        ring = ring(Optional.of(path));
        worker.hold();
        ring.start();

        // When, Then
        assertThat(ring.underWay()).isTrue();
        worker.release();
        assertThat(ring.underWay()).isFalse();
        assertThat(ids()).isEqualTo("[a]");
    }

    @Test
    void writesTheFileWhenKeysChangeAndOnceAnHourWhenTheyDoNot() throws Exception {
        // Given
        Path path = directory.resolve("keys.json");
        ring = ring(Optional.of(path));
        source.answerAtOnce(KEYS);
        ring.start();
        Files.delete(path);

        // When, Then
        time.advance(Duration.ofMinutes(55));
        assertThat(path).doesNotExist();
        time.advance(Duration.ofMinutes(5));
        assertThat(path).content().contains(time.now().toString(), "\\\"a\\\"");
        source.answerAtOnce(OTHER_KEYS);
        time.advance(Duration.ofMinutes(5));
        assertThat(path).content().contains("\\\"b\\\"");
    }

    @Test
    void goesOnWithoutAFileThatCannotBeWritten() throws Exception {
        // Given
        Path path = directory.resolve("missing").resolve("keys.json");
        ring = ring(Optional.of(path));
        source.answerAtOnce(KEYS);

        // When
        ring.start();

        // Then
        assertThat(ids()).isEqualTo("[a]");

        // When
        Files.createDirectory(path.getParent());
        time.advance(Duration.ofMinutes(5));

        // Then
        assertThat(path).exists();
    }

    /** Writes the file of an agent that has stopped now. */
    private Path kept() {
        Path path = directory.resolve("keys.json");
        ring = ring(Optional.of(path));
        source.answerAtOnce(KEYS);
        ring.start();
        ring.stop();
        assertThat(path).exists();
        return path;
    }

    /** Starts another agent while the API server is down. */
    private void restart(Path path, Optional<String> issuer) {
        source = new FakeKeySource();
        source.failAtOnce(DOWN);
        ring = new KeyRing(source, Optional.of(path), issuer, metrics, time.clock(), time.nanos(), new TestLoop(time, loop),
                worker, () -> 0);
        ring.start();
    }

    private KeyRing ring(Optional<Path> file) {
        return new KeyRing(source, file, Optional.empty(), metrics, time.clock(), time.nanos(), new TestLoop(time, loop),
                worker, () -> 0);
    }

    private String ids() {
        return ring.current().orElseThrow().byId().keySet().toString();
    }

    private int counted(String result) {
        return (int) registry.get("pod_identity_key_fetches").tags("result", result).counter().count();
    }

    private double age() {
        return registry.get("pod_identity_keys_age").gauge().value();
    }
}
